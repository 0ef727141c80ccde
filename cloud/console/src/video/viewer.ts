/** The `<video>` that shows the picture, and what it says of each frame. */
import { blockPx, readStamp, stampSize } from "./stamp";

/** An expected display time farther ahead than this is not one. */
const AHEAD_MS_MAX = 50;

/** What is shown of a picture that holds what two eyes see: the left one's alone, or both side by side. */
export type Eyes = "left" | "both";

/** Width over height of what one eye sees, from that of the picture. */
export function aspectOfEye(aspect: number, stereo: boolean): number {
  return stereo ? aspect / 2 : aspect;
}

export interface Presented {
  readonly rtpTimestamp: number;
  /** When it is on the screen, as far as the browser knows. */
  readonly shownMs: number;
  /** Width over height of the whole picture. */
  readonly aspect: number;
  readonly stampUs: bigint | undefined;
}

/** Calls `presented` for every frame until the returned function is called. */
export function watch(video: HTMLVideoElement, withStamp: boolean, presented: (frame: Presented) => void): () => void {
  const stamps = withStamp ? new StampReader() : undefined;
  let handle = 0;
  const callback: VideoFrameRequestCallback = (now, metadata) => {
    handle = video.requestVideoFrameCallback(callback);
    if (metadata.rtpTimestamp === undefined) return;
    presented({ rtpTimestamp: metadata.rtpTimestamp, shownMs: shownAt(now, metadata), aspect: metadata.width / metadata.height, stampUs: stamps?.read(video) });
  };
  handle = video.requestVideoFrameCallback(callback);
  return () => video.cancelVideoFrameCallback(handle);
}

/**
 * When a frame is on the screen, as far as the browser knows. `now` is when this round of drawing began: on a page that is behind, before
 * the frame was there at all. A frame is never on the screen before it was handed to be put together.
 */
export function shownAt(now: number, { expectedDisplayTime, presentationTime }: Pick<VideoFrameCallbackMetadata, "expectedDisplayTime" | "presentationTime">): number {
  const handed = Math.max(now, presentationTime);
  const ahead = expectedDisplayTime - handed;
  return ahead > 0 && ahead <= AHEAD_MS_MAX ? expectedDisplayTime : handed;
}

class StampReader {
  readonly #canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

  read(video: HTMLVideoElement): bigint | undefined {
    const size = stampSize(video.videoWidth, video.videoHeight);
    if (this.#canvas === null || size === undefined) return undefined;
    const { width, height } = size;
    const { canvas } = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.#canvas.drawImage(video, 0, 0, width, height, 0, 0, width, height);
    return readStamp(this.#canvas.getImageData(0, 0, width, height).data, width, blockPx(video.videoWidth));
  }
}
