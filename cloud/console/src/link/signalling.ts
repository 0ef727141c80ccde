/** The signalling channel: JSON text frames to the edge box, through the cloud, which is not believed. */
import { fromBase64Url, toBase64Url, type Bytes } from "../wire/bytes";
import { isRecord } from "./api";

export const FRAME_BYTES_MAX = 64 * 1024;

export type Signal =
  | { readonly type: "hello"; readonly nonce: Bytes }
  | { readonly type: "answer"; readonly sdp: string; readonly fingerprint: Bytes }
  | { readonly type: "error"; readonly code: string; readonly message: string }
  | { readonly type: "bye" | "edge-offline" | "edge-online" };

/** What a frame says, or `undefined` if it says nothing that we know. */
export function readSignal(text: string): Signal | undefined {
  if (text.length > FRAME_BYTES_MAX) return undefined;
  const frame = parsed(text);
  if (!isRecord(frame)) return undefined;
  switch (frame["type"]) {
    case "hello": {
      const nonce = bytes(frame["nonce"]);
      return nonce?.length === 32 ? { type: "hello", nonce } : undefined;
    }
    case "answer": {
      const fingerprint = bytes(frame["fingerprint"]);
      const sdp = frame["sdp"];
      return fingerprint && typeof sdp === "string" ? { type: "answer", sdp, fingerprint } : undefined;
    }
    case "error":
      return { type: "error", code: String(frame["code"]), message: String(frame["message"]) };
    case "bye":
    case "edge-offline":
    case "edge-online":
      return { type: frame["type"] };
    default:
      return undefined;
  }
}

export function helloFrame(nonce: Bytes, endorsement: Bytes): string {
  return JSON.stringify({ type: "hello", nonce: toBase64Url(nonce), endorsement: toBase64Url(endorsement) });
}

export function offerFrame(sdp: string, fingerprint: Bytes): string {
  return JSON.stringify({ type: "offer", sdp, fingerprint: toBase64Url(fingerprint) });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function bytes(value: unknown): Bytes | undefined {
  return typeof value === "string" ? fromBase64Url(value) : undefined;
}
