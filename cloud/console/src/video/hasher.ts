/** The hash of every picture that the browser receives, and the record that it brings: read in a worker, beside the picture and never before it. */
import { type Bytes } from "../wire/bytes";
import { type PictureHashed, type PictureRecord } from "./hasher.worker";

export interface InPicture {
  readonly hashed: (rtpTimestamp: number, hash: Bytes) => void;
  readonly record: (record: Bytes) => void;
}

/** Hashes and reads what `receiver` gets until the returned function is called; `undefined`: this browser can't. */
export function hashPictures(receiver: RTCRtpReceiver, { hashed, record }: InPicture): (() => void) | undefined {
  if (!("RTCRtpScriptTransform" in globalThis)) return undefined;
  const worker = new Worker(new URL("./hasher.worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<PictureHashed | PictureRecord>) => {
    if ("record" in data) record(new Uint8Array(data.record));
    else hashed(data.rtpTimestamp, new Uint8Array(data.hash));
  };
  receiver.transform = new RTCRtpScriptTransform(worker);
  return () => worker.terminate();
}
