/** What the net sees, and why it does not say so. Pure. */
import { Doubt } from "../wire/overlay";
import { type Sighting, type Wanted } from "../video/sight";

const DOUBTS: Readonly<Record<Doubt, string>> = {
  [Doubt.Unsure]: "the net is not sure",
  [Doubt.Dark]: "the picture is dark",
  [Doubt.Glare]: "the picture is too bright",
  [Doubt.Blurred]: "the picture is blurred or covered",
  [Doubt.Strange]: "the picture is not of what the net has learnt",
};

const WANTED: Readonly<Record<Wanted, string>> = { all: "All", instruments: "Tools", vessels: "Vessels", off: "Off" };

/** Beside its name, short; how much older than the picture they are. */
export function sightInShort(wanted: Wanted, sighting: Sighting | undefined): string {
  if (wanted === "off") return WANTED.off;
  if (sighting === undefined) return "–";
  if (sighting.overlay.doubt !== undefined) return "Doubts";
  const ageMs = `${sighting.behindMs.toFixed(0)} ms`;
  return wanted === "all" ? ageMs : `${WANTED[wanted]}, ${ageMs}`;
}

/** Where arm and picture do not agree; empty while they do. */
export function tipNote(arms: readonly string[]): string {
  if (arms.length === 0) return "";
  const whose = arms.length === 1 ? `${arms[0]}'s tool is` : `The tools of ${arms.join(" and ")} are`;
  return `${whose} not seen where the arm says. Look before you go on; nothing is stopped by this.`;
}

/** Where the net sees a vessel near jaws; empty otherwise, which means nothing: it must not be said in any words that none is there. */
export function vesselNote(arms: readonly string[]): string {
  if (arms.length === 0) return "";
  const where = arms.length === 1 ? `Vessel near ${arms[0]}'s jaws` : `Vessels near the jaws of ${arms.join(" and ")}`;
  return `${where}, as the net sees the picture. It does not see every vessel. Look before you go on; nothing is stopped by this.`;
}

/** Why nothing is drawn although it is wanted; empty while there is nothing to say. */
export function sightNote(wanted: Wanted, sighting: Sighting | undefined, noSight: string): string {
  const doubt = sighting?.overlay.doubt;
  const why = noSight !== "" ? noSight : doubt !== undefined ? DOUBTS[doubt] : "";
  return wanted === "off" || why === "" ? "" : `No outlines: ${why}. The operation goes on without them.`;
}
