/** The signalling channel: JSON text frames to the edge box, through the cloud, which is not believed. */
import { fromBase64Url, toBase64Url, type Bytes } from "../wire/bytes";
import { isRecord } from "./api";

export const FRAME_BYTES_MAX = 64 * 1024;

/** Paths between a console and an edge box. */
export const PATHS_MAX = 2;

/** `path`: which of this console's paths it is about, from 0. */
export type Signal =
  | { readonly type: "hello"; readonly path: number; readonly nonce: Bytes; readonly paths: number }
  | { readonly type: "answer"; readonly path: number; readonly sdp: string; readonly fingerprint: Bytes }
  | { readonly type: "error"; readonly path: number; readonly code: string; readonly message: string }
  | { readonly type: "bye" | "edge-offline" | "edge-online" };

/** What a frame says, or `undefined` if it says nothing that we know. */
export function readSignal(text: string): Signal | undefined {
  if (text.length > FRAME_BYTES_MAX) return undefined;
  const frame = parsed(text);
  if (!isRecord(frame)) return undefined;
  const path = upTo(PATHS_MAX - 1, frame["path"] ?? 0);
  switch (frame["type"]) {
    case "hello": {
      const nonce = bytes(frame["nonce"]);
      const paths = frame["paths"] === undefined ? 1 : upTo(255, frame["paths"]);
      if (nonce?.length !== 32 || path === undefined || paths === undefined) return undefined;
      return { type: "hello", path, nonce, paths: Math.min(PATHS_MAX, paths) };
    }
    case "answer": {
      const fingerprint = bytes(frame["fingerprint"]);
      const sdp = frame["sdp"];
      if (path === undefined || fingerprint === undefined || typeof sdp !== "string") return undefined;
      return { type: "answer", path, sdp, fingerprint };
    }
    case "error":
      return path === undefined ? undefined : { type: "error", path, code: String(frame["code"]), message: String(frame["message"]) };
    case "bye":
    case "edge-offline":
    case "edge-online":
      return { type: frame["type"] };
    default:
      return undefined;
  }
}

export function helloFrame(path: number, nonce: Bytes, endorsement: Bytes): string {
  return JSON.stringify({ type: "hello", ...about(path), nonce: toBase64Url(nonce), endorsement: toBase64Url(endorsement) });
}

export function offerFrame(path: number, sdp: string, fingerprint: Bytes): string {
  return JSON.stringify({ type: "offer", ...about(path), sdp, fingerprint: toBase64Url(fingerprint) });
}

/** The first path is not named. */
function about(path: number): object {
  return path === 0 ? {} : { path };
}

function upTo(max: number, value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max ? value : undefined;
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
