/** Where the picture lies in its place, for what is drawn over it. */

/** In points of the canvas. */
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
  const known = Number.isFinite(aspect);
  const height = known ? Math.min(canvas.height, canvas.width / aspect) : canvas.height;
  const width = known ? height * aspect : canvas.width;
  return { left: (canvas.width - width) / 2, top: (canvas.height - height) / 2, width, height };
}

/** As many points as the screen has there; whether that is other than before. */
export function fit(canvas: HTMLCanvasElement): boolean {
  const [width = 0, height = 0] = [canvas.clientWidth, canvas.clientHeight].map((px) => Math.round(px * devicePixelRatio));
  const changed = canvas.width !== width || canvas.height !== height;
  if (changed) Object.assign(canvas, { width, height });
  return changed;
}
