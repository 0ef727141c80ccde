/** Ed25519 and X25519 by WebCrypto; signatures are looked at strictly. */
import { type Bytes, concat, fromBase64Url, fromHex, toHex } from "./bytes";

export interface Signer {
  readonly publicKey: Bytes;
  sign(message: Uint8Array): Promise<Bytes>;
}

export class SessionSigner implements Signer {
  private constructor(
    readonly publicKey: Bytes,
    readonly pair: CryptoKeyPair,
  ) {}

  /** A new key whose secret half never leaves the browser's key store. */
  static async generate(): Promise<SessionSigner> {
    return this.of((await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair);
  }

  static async of(pair: CryptoKeyPair): Promise<SessionSigner> {
    return new SessionSigner(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), pair);
  }

  async sign(message: Uint8Array): Promise<Bytes> {
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.pair.privateKey, message as Bytes));
  }
}

const PKCS8_HEAD = fromHex("302e020100300506032b657004220420", 16) as Bytes;

/** The signer of a 32-byte seed, as a role link carries it. */
export async function signerFromSeed(seed: Uint8Array): Promise<Signer> {
  if (seed.length !== 32) throw new RangeError(`a seed has 32 bytes, not ${seed.length}`);
  const pkcs8 = concat(PKCS8_HEAD, seed);
  const secret = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const publicKey = fromBase64Url((await crypto.subtle.exportKey("jwk", secret)).x ?? "");
  if (publicKey?.length !== 32) throw new Error("the browser gave no public key for the link's seed");
  const sign = async (message: Uint8Array) =>
    new Uint8Array(await crypto.subtle.sign("Ed25519", secret, message as Bytes));
  return { publicKey, sign };
}

/** Encodings of points of small order, sign bit left out: anybody can sign under such a key. From libsodium 1.0.18, `ge25519_has_small_order`. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map((hex) => fromHex(hex, 32) as Bytes);

export function isSmallOrder(point: Uint8Array): boolean {
  return SMALL_ORDER.some((small) => small.every((byte, i) => byte === (i === 31 ? (point[i] ?? 0) & 0x7f : point[i])));
}

const FIELD = 2n ** 255n - 19n;
const D = modulo(-121665n * power(121666n, FIELD - 2n));

/** Whether these bytes are a point of the curve (RFC 8032, 5.1.3), and none of small order. */
export function isUsable(key: Uint8Array): boolean {
  const y = key.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n) & (2n ** 255n - 1n);
  const square = modulo((y * y - 1n) * power(modulo(D * y * y + 1n), FIELD - 2n));
  return key.length === 32 && !isSmallOrder(key) && power(square, (FIELD - 1n) / 2n) <= 1n;
}

function modulo(value: bigint): bigint {
  return ((value % FIELD) + FIELD) % FIELD;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let [square, rest] = [modulo(base), exponent]; rest > 0n; [square, rest] = [(square * square) % FIELD, rest >> 1n]) {
    if ((rest & 1n) === 1n) result = (result * square) % FIELD;
  }
  return result;
}

export async function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (isSmallOrder(publicKey) || isSmallOrder(signature.subarray(0, 32))) return false;
  try {
    return await crypto.subtle.verify("Ed25519", await imported(publicKey), signature as Bytes, message as Bytes);
  } catch {
    return false;
  }
}

/** A session has a dozen keys and thousands of signatures. */
const IMPORTED_MAX = 256;
const importedKeys = new Map<string, Promise<CryptoKey>>();

function imported(publicKey: Uint8Array): Promise<CryptoKey> {
  const name = toHex(publicKey);
  const known = importedKeys.get(name);
  if (known !== undefined) return known;
  if (importedKeys.size >= IMPORTED_MAX) importedKeys.clear();
  const key = crypto.subtle.importKey("raw", publicKey as Bytes, "Ed25519", false, ["verify"]);
  importedKeys.set(name, key);
  return key;
}

/** An ephemeral X25519 key for one lease. */
export class Ephemeral {
  private constructor(
    readonly publicKey: Bytes,
    readonly secret: CryptoKey,
  ) {}

  static async generate(): Promise<Ephemeral> {
    const pair = (await crypto.subtle.generateKey("X25519", false, ["deriveBits"])) as CryptoKeyPair;
    return new Ephemeral(new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)), pair.privateKey);
  }

  /** `undefined` if the other side's point was of low order, so that the secret would be known to all. */
  async agree(other: Uint8Array): Promise<Bytes | undefined> {
    try {
      const point = await crypto.subtle.importKey("raw", other as Bytes, "X25519", false, []);
      const bits = await crypto.subtle.deriveBits({ name: "X25519", public: point } as never, this.secret, 256);
      const secret = new Uint8Array(bits);
      return secret.some((byte) => byte !== 0) ? secret : undefined;
    } catch {
      return undefined;
    }
  }
}
