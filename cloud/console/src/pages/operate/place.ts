/** Where the picture lies in its place, for what is drawn over it. */

/** In points of the screen. */
export interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The picture keeps its form in the middle of its place (`object-fit: contain`). */
export function placeOfPicture(canvas: HTMLCanvasElement): Place {
  const video = canvas.parentElement?.querySelector<HTMLVideoElement>("video.on-top");
  const aspect = video ? video.videoWidth / video.videoHeight : Number.NaN;
  // Both fill the same place, unless the canvas is made smaller than it.
  const [wide, high] = points(video ?? canvas);
  const known = Number.isFinite(aspect);
  const height = known ? Math.min(high, wide / aspect) : high;
  const width = known ? height * aspect : wide;
  return { left: (wide - width) / 2, top: (high - height) / 2, width, height };
}

export function samePlace(one: Place, other: Place | undefined): boolean {
  return one.left === other?.left && one.top === other.top && one.width === other.width && one.height === other.height;
}

/** As many points as the screen has there; whether that is other than before. */
export function fit(canvas: HTMLCanvasElement): boolean {
  const [width, height] = points(canvas);
  const changed = canvas.width !== width || canvas.height !== height;
  if (changed) Object.assign(canvas, { width, height });
  return changed;
}

function points({ clientWidth, clientHeight }: Element): readonly [wide: number, high: number] {
  return [Math.round(clientWidth * devicePixelRatio), Math.round(clientHeight * devicePixelRatio)];
}
