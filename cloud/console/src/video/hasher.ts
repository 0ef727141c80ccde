/** The hash of every picture that the browser receives: reckoned in a worker, beside the picture and never before it. */
import { type Bytes } from "../wire/bytes";
import { type PictureHashed } from "./hasher.worker";

/** Hashes what `receiver` gets until the returned function is called; `undefined`: this browser can't. */
export function hashPictures(receiver: RTCRtpReceiver, hashed: (rtpTimestamp: number, hash: Bytes) => void): (() => void) | undefined {
  if (!("RTCRtpScriptTransform" in globalThis)) return undefined;
  const worker = new Worker(new URL("./hasher.worker.ts", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }: MessageEvent<PictureHashed>) => hashed(data.rtpTimestamp, new Uint8Array(data.hash));
  receiver.transform = new RTCRtpScriptTransform(worker);
  return () => worker.terminate();
}
