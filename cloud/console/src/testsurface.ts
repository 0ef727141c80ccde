/**
 * `window.farhand`, only with `?test=1` or `?test=stamp`: what the operate page knows, for tests and benches to read. **It shows, and controls
 * nothing**: every field is a copy, and nothing read here acts. See README.md.
 */
import { axesOf } from "./control/camera";
import { jawsEnd } from "./control/ghost";
import { type Surgeon } from "./control/surgeon";
import { rejectionName } from "./wire/rejection";
import { Mode } from "./wire/state";
import { type Status } from "./words/status";

const MODES = Object.keys(Mode);

export function snapshot(surgeon: Surgeon, status: Status) {
  const nowMs = performance.now();
  const { station } = surgeon;
  const [state, notice, view] = [surgeon.state, station.notice.peek(), surgeon.control.view(nowMs)];
  const clock = surgeon.clock.at(nowMs);
  const durable = surgeon.durable.peek()?.said;
  const eye = surgeon.eyeAt(nowMs);
  const sighting = surgeon.sight.over(surgeon.frames.newest);
  return {
    look: status.look,
    word: status.word,
    why: status.why,
    link: station.link.peek().is,
    mode: MODES[state?.said.mode ?? notice?.said.mode ?? -1] ?? null,
    flags: state?.said.flags ?? notice?.said.flags ?? null,
    phase: view.phase,
    holdsControl: view.holdsControl,
    deadMan: view.deadMan,
    /** Where the hand is; engagement, setpoint, measured pose, jaw, mode and reason are that arm's. */
    arm: view.arm,
    arms: surgeon.arms.map(({ name }) => name),
    engagement: Number(view.engagement),
    token: state ? Number(state.said.token) : null,
    sent: Number(view.sent),
    newest: state ? Number(state.said.newest) : null,
    applied: state ? Number(state.said.applied) : null,
    rejected: state ? Number(state.said.rejected) : null,
    kitUnauthentic: state ? Number(state.said.unauthentic) : null,
    unauthentic: surgeon.unauthentic,
    disbelieved: station.disbelieved,
    setpointM: state ? [...state.said.setpoint.positionM] : null,
    measuredM: state ? [...state.said.measured.positionM] : null,
    jawsEndM: state ? jawsEnd(state.said.measured) : null,
    reason: state?.said.reason ? rejectionName(state.said.reason) : null,
    jawRad: state?.said.jawRad ?? null,
    stateAgeMs: state ? nowMs - state.atMs : null,
    noticeAgeMs: notice ? nowMs - notice.atMs : null,
    commandAgeMs: state?.said.commandAgeMs ?? null,
    kitPictureAgeMs: state?.said.pictureAgeMs ?? null,
    pictureAgeMs: surgeon.pictureAgeMs(nowMs) ?? null,
    loopMs: surgeon.loopMs ?? null,
    ghost: surgeon.ghostAt(nowMs)?.plainness ?? 0,
    /** Whether pictures hold what two eyes see, and then what of it is shown. */
    stereo: surgeon.camera.peek()?.stereo ?? false,
    eyes: surgeon.eyes.peek(),
    noSight: surgeon.noSight.peek(),
    wanted: surgeon.wanted.peek(),
    overlays: surgeon.sight.came,
    doubts: surgeon.sight.doubted,
    tipsApart: surgeon.tips.raised,
    vesselsNear: surgeon.vesselsNear,
    sight: sighting === undefined ? null : { behindMs: sighting.behindMs, doubt: sighting.overlay.doubt ?? null, classes: sighting.overlay.contours.map((contour) => contour.class) },
    /** Forbidden regions in force by the kit's word; how many there are, if this page knows. */
    regionsVersion: notice?.said.regions === undefined ? null : Number(notice.said.regions),
    regions: station.forbidden.peek()?.regions.length ?? null,
    marking: surgeon.marking.peek(),
    /** The picture's axes in the kit's frame, where it was taken from, and how wide. */
    view: eye === undefined ? null : { ...axesOf(eye), fromM: eye.kitFromCamera.positionM, fovYRad: eye.fovYRad },
    proposed: surgeon.proposed.peek() ?? null,
    clockOffsetMs: clock?.offsetMs ?? null,
    clockUncertaintyMs: clock?.uncertaintyMs ?? null,
    roundTripMs: surgeon.clock.roundTripMs ?? null,
    frame: surgeon.frames.newest ? Number(surgeon.frames.newest.frame) : null,
    framesUnmatched: surgeon.frames.unmatched,
    glassToGlassMs: surgeon.newestSample?.glassToGlassMs ?? null,
    stampMs: surgeon.newestSample?.stampMs ?? null,
    paths: station.connector.paths(nowMs).map(({ path, stands, pictures, rttMs, lossPercent, silentMs }) => ({ path, stands, pictures, rttMs: rttMs ?? null, lossPercent: lossPercent ?? null, silentMs })),
    closed: notice?.said.closed ?? null,
    recordNewest: durable ? Number(durable.newest) : null,
    recordSegments: durable ? Number(durable.segments) : null,
    recordLagMs: surgeon.recordLagMs(nowMs) ?? null,
    segments: Number(surgeon.scribe.segments),
    segmentsOpen: surgeon.scribe.openSegments,
    reports: Number(surgeon.scribe.reports),
    picturesAsSent: surgeon.displayed.asSent,
    picturesOther: surgeon.displayed.other,
  };
}

export type Snapshot = ReturnType<typeof snapshot>;

export interface TestSurface {
  readonly now: Snapshot;
  /** One a frame shown, oldest first, bounded: glass-to-glass by record and by stamp. */
  readonly samples: readonly object[];
}

declare global {
  interface Window {
    readonly farhand?: TestSurface;
  }
}

export function expose(surgeon: Surgeon, status: () => Status): void {
  const surface = Object.freeze({
    get now() {
      return Object.freeze(snapshot(surgeon, status()));
    },
    get samples() {
      return surgeon.samples.map((sample) => Object.freeze({ ...sample }));
    },
  });
  Object.defineProperty(window, "farhand", { value: surface, writable: false, configurable: false });
}
