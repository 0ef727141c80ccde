/** The paths to the edge box, in words. Pure. */
import { type PathView } from "../link/connector";

/** A path that says nothing for so long is not called standing, though its connection is. */
const SILENT_MS = 500;

export interface PathWords {
  readonly is: "stands" | "silent" | "down";
  /** Beside its mark. */
  readonly short: string;
  readonly long: string;
}

export function pathInWords(view: PathView): PathWords {
  const { path, stands, silentMs, rttMs, jitterMs, lossPercent, pictures } = view;
  const name = `Path ${path + 1}`;
  if (!stands) return { is: "down", short: "down", long: `${name} is down and is being made anew` };
  if (silentMs > SILENT_MS) return { is: "silent", short: "silent", long: `${name}: nothing came over it for ${(silentMs / 1000).toFixed(1)} s` };
  const figures = [
    rttMs === undefined ? "" : `round trip ${rttMs.toFixed(1)} ms`,
    jitterMs === undefined ? "" : `jitter ${jitterMs.toFixed(1)} ms`,
    lossPercent === undefined ? "" : `loss ${lossPercent.toFixed(1)} %`,
    pictures ? "pictures come over it" : "",
  ];
  const short = rttMs === undefined ? "new" : `${rttMs.toFixed(0)} ms`;
  return { is: "stands", short, long: `${name}: ${figures.filter(Boolean).join(", ")}` };
}

/** What is said aloud where a path that was there is not: that the operation goes on. */
export function onePathNote(views: readonly PathView[]): string {
  const down = views.some(({ stands, stood }) => stood && !stands);
  return down && views.some(({ stands }) => stands) ? "One path to the edge box is down. The operation goes on over the other." : "";
}
