/**
 * Where the picture lies in the screens' place, for what is drawn over it. Of a picture that holds what two eyes see, it is the left
 * one's: that is what the endoscope's frame and angle of view, and what the net sees, are about.
 */
import { aspectOfEye } from "../../video/viewer";

/** In points of the screen. */
export interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

type Size = readonly [wide: number, high: number];

export function placeOfPicture({ parentElement }: HTMLCanvasElement): Place {
  const screens = parentElement?.querySelector<HTMLElement>(".screens");
  const video = screens?.querySelector<HTMLVideoElement>("video.on-top");
  // A canvas may be made smaller than the screens' place, and begins where it does.
  return placeOf(screens ? points(screens) : [0, 0], video ? video.videoWidth / video.videoHeight : Number.NaN, parentElement?.dataset["eyes"]);
}

/**
 * What is shown keeps its form in the middle of the screens' place. `aspect`: of the whole picture; `eyes`: what the style sheet shows
 * of it, "left" or "both"; undefined: it is one eye's.
 */
export function placeOf([wide, high]: Size, aspect: number, eyes: string | undefined): Place {
  const beside = eyes === "both" ? 2 : 1;
  const eye = aspectOfEye(aspect, eyes !== undefined);
  const known = Number.isFinite(eye);
  const height = known ? Math.min(high, wide / beside / eye) : high;
  const width = known ? height * eye : wide / beside;
  return { left: (wide - beside * width) / 2, top: (high - height) / 2, width, height };
}

/** Takes what is in heights of the picture from its middle to where the picture lies. */
export function toPlace({ left, top, width, height }: Place): DOMMatrix2DInit {
  return { a: height, b: 0, c: 0, d: height, e: left + width / 2, f: top + height / 2 };
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

function points({ clientWidth, clientHeight }: Element): Size {
  return [Math.round(clientWidth * devicePixelRatio), Math.round(clientHeight * devicePixelRatio)];
}
