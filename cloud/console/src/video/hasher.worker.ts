/**
 * A worker between depacketizer and decoder. **A frame goes on before its hash is begun**, so that evidence delays no
 * picture. Its content is copied first: what was handed on is not ours any more.
 */
import { FRAME_RECORD_NAME } from "../wire/video";
import { pictureContent, userData } from "./nal";

export interface PictureHashed {
  readonly rtpTimestamp: number;
  readonly hash: ArrayBuffer;
}

/** What a picture brought with it. */
export interface PictureRecord {
  readonly record: ArrayBuffer;
}

interface Scope {
  onrtctransform: ((event: { readonly transformer: Transformer }) => void) | null;
  postMessage(message: PictureHashed | PictureRecord): void;
}

interface Transformer {
  readonly readable: ReadableStream<RTCEncodedVideoFrame>;
  readonly writable: WritableStream<RTCEncodedVideoFrame>;
}

const scope = globalThis as unknown as Scope;

scope.onrtctransform = ({ transformer: { readable, writable } }) => {
  const beside = new TransformStream<RTCEncodedVideoFrame, RTCEncodedVideoFrame>({
    transform(frame, controller) {
      const unit = new Uint8Array(frame.data.slice(0));
      const { rtpTimestamp } = frame.getMetadata();
      controller.enqueue(frame);
      const record = userData(unit, FRAME_RECORD_NAME)?.buffer;
      if (record !== undefined) scope.postMessage({ record });
      if (rtpTimestamp !== undefined) void hash(rtpTimestamp, unit);
    },
  });
  readable.pipeThrough(beside).pipeTo(writable).catch(() => undefined);
};

async function hash(rtpTimestamp: number, unit: Uint8Array): Promise<void> {
  scope.postMessage({ rtpTimestamp, hash: await crypto.subtle.digest("SHA-256", pictureContent(unit)) });
}
