/**
 * Reads the capture instant that the edge box draws into the picture in test mode (`edge/video/src/stamp.rs`): 32 x 2
 * square blocks in the top left corner, 48 bits of µs and 16 of CRC-16/IBM-3740, most significant first, white is one.
 */

export const COLUMNS = 32;
export const ROWS = 2;
const WIDTH_MIN = 256;

/** The side of a block for a picture of this width. */
export function blockPx(width: number): number {
  return Math.max(8, Math.floor(width / 320) * 8);
}

/** The picture's corner that holds the stamp, or `undefined` if it has no room for one. */
export function stampSize(width: number, height: number): { width: number; height: number } | undefined {
  const block = blockPx(width);
  return width < WIDTH_MIN || height < ROWS * block ? undefined : { width: COLUMNS * block, height: ROWS * block };
}

/** The tick in µs modulo 2^48, or `undefined` if there is no stamp that can be read. `rgba`: rows of `stride` pixels. */
export function readStamp(rgba: Uint8ClampedArray, stride: number, block: number): bigint | undefined {
  let code = 0n;
  for (let bit = 0; bit < COLUMNS * ROWS; bit++) {
    const x = (bit % COLUMNS) * block;
    const y = Math.floor(bit / COLUMNS) * block;
    code = (code << 1n) | (middleMean(rgba, stride, x, y, block) > 127 ? 1n : 0n);
  }
  const tickUs = code >> 16n;
  return crc16(tickUs) === Number(code & 0xffffn) ? tickUs : undefined;
}

function middleMean(rgba: Uint8ClampedArray, stride: number, x: number, y: number, block: number): number {
  let sum = 0;
  for (let row = y + block / 4; row < y + (block * 3) / 4; row++) {
    for (let column = x + block / 4; column < x + (block * 3) / 4; column++) sum += rgba[(row * stride + column) * 4] ?? 0;
  }
  return sum / (block / 2) ** 2;
}

/** CRC-16/IBM-3740 over the tick's six bytes, big endian. */
export function crc16(tickUs: bigint): number {
  let crc = 0xffff;
  for (let shift = 40n; shift >= 0n; shift -= 8n) {
    crc ^= Number((tickUs >> shift) & 0xffn) << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1;
  }
  return crc;
}
