/** What the frame around the picture says: the most severe thing wins, in words with both numbers. */
import { describe, expect, it } from "vitest";
import { Control } from "../src/control/machine";
import { type KitState, Mode, StateFlag, upToDate } from "../src/wire/state";
import { type KitNotice } from "../src/wire/statement";
import { armInWords } from "../src/words/arms";
import { type Facts, statusOf } from "../src/words/status";
import { Kit } from "./mock/kit";

const kit = new Kit(new Uint8Array(16));
kit.armed = true;
kit.lease(0, 1n);
kit.arm(0).releaseDue = false;
const state = kit.state(0);
const notice: KitNotice = {
  boot: new Uint8Array(16),
  tickUs: 1n,
  challenge: new Uint8Array(32),
  mode: 2,
  operatingState: 1,
  flags: state.flags,
  token: 1n,
  holder: null,
  signedBy: [],
  presses: [],
  reason: "",
  closed: false,
  arms: kit.notices,
};
const view = { ...new Control(new Uint8Array(16)).view(0), holdsControl: true };
const ready: Facts = {
  link: { is: "connected", cloud: true },
  notice: { said: notice, ageMs: 100 },
  state: { said: state, ageMs: 5 },
  control: view,
  asking: false,
  holder: undefined,
};
const without = (flag: number) => notice.flags & ~flag;

describe("status", () => {
  it.each<[string, Partial<Facts>, string, string, RegExp]>([
    ["ready", {}, "armed", "Armed", /Hold Space/],
    ["engaged", { control: { ...view, phase: "engaged" }, state: { said: { ...state, mode: 0 }, ageMs: 5 } }, "engaged", "Engaged: the tool follows you", /Release Space/],
    ["engaged on a slow line", { control: { ...view, phase: "engaged" }, state: { said: { ...state, mode: 1, speedLimitMmS: 61.6 }, ageMs: 5 } }, "engaged", "Engaged: the tool follows you", /line is slow: the tool moves 62 mm/],
    ["engaged, one of several", { arm: "PSM2", control: { ...view, phase: "engaged" }, state: { said: { ...state, mode: 0 }, ageMs: 5 } }, "engaged", "Engaged: PSM2 follows you", /Release Space/],
    ["ready, one of several", { arm: "ECM" }, "armed", "Armed", /^Hold Space and drag to move ECM\./],
    ["an old picture", { control: { ...view, phase: "engaged" }, state: { said: { ...state, reason: { code: 3, seen: 420, limit: 400 } }, ageMs: 5 } }, "holding", "Holding", /^Picture is 420 ms old, limit 400\./],
    ["a silent kit", { state: { said: state, ageMs: 812 } }, "holding", "Holding", /No word from the kit for 812 ms, limit 300 ms/],
    ["a lost focus", { control: { ...view, letGo: "focus" } }, "holding", "Holding", /lost the focus.*press it again/],
    ["paused", { state: { said: { ...state, mode: 3, reason: { code: 17, seen: 0, limit: 1 } }, ageMs: 5 } }, "holding", "Paused", /seen released 0 times since the stop, 1 needed/],
    ["consent withdrawn", { state: { said: { ...state, mode: 4, reason: { code: 24, seen: 1, limit: 0 } }, ageMs: 5 } }, "holding", "Safe stop", /Consent was withdrawn: hold the dead-man to draw the tool out/],
    ["drawing the tool out", { control: { ...view, phase: "engaged" }, state: { said: { ...state, mode: 4 }, ageMs: 5 } }, "holding", "Safe stop: the tool is drawn out", /Release Space to stop/],
    ["the clutch", { control: { ...view, phase: "waiting", deadMan: true, clutch: true } }, "holding", "Holding", /hand is free/],
    ["stopped, whatever else", { link: { is: "connecting" }, notice: { said: { ...notice, mode: 5, flags: notice.flags | StateFlag.EStop, reason: "e-stop is latched by 1 presses, 0 allowed" }, ageMs: 9000 } }, "stopped", "Stopped", /E-stop is latched by 1 presses, 0 allowed\. Two people/],
    ["a fault", { notice: { said: { ...notice, mode: 5, reason: "no word from the arm for 51 ms, limit 50" }, ageMs: 9 } }, "stopped", "Fault", /No word from the arm for 51 ms/],
    ["a press on its way", { control: { ...view, unacknowledgedStopMs: 1234 } }, "stopped", "Stopping", /1\.2 s ago/],
    ["no edge box", { link: { is: "edge-offline" } }, "holding", "No edge box", /not online/],
    ["an impostor", { link: { is: "untrusted", why: "the answer is signed by another key" } }, "holding", "Not trusted", /another key\. Nothing was connected/],
    ["closed, whatever the line", { link: { is: "connecting" }, notice: { said: { ...notice, closed: true }, ageMs: 9000 } }, "viewing", "Closed", /over\..*being sealed/],
    ["sealed", { notice: { said: { ...notice, closed: true }, ageMs: 9 }, sealed: "a-1.mcap" }, "viewing", "Closed", /record is sealed: a-1\.mcap\.$/],
    ["a stop after closing", { notice: { said: { ...notice, closed: true, mode: 5, flags: notice.flags | StateFlag.EStop, reason: "" }, ageMs: 9 } }, "stopped", "Stopped", /Two people/],
    ["a lost edge box", { link: { is: "connecting" } }, "holding", "No connection", /is lost\. Connecting again.*holds by itself/],
    ["the first connection", { link: { is: "connecting" }, notice: undefined }, "holding", "No connection", /^Connecting to/],
    ["a silent kit, not ours", { control: { ...view, holdsControl: false }, state: undefined, notice: { said: notice, ageMs: 4321 } }, "holding", "No kit", /4\.3 s, limit 1\.5 s/],
    ["a frozen picture", { pictureAgeMs: 2300, state: { said: { ...state, reason: { code: 3, seen: 2250, limit: 400 } }, ageMs: 5 } }, "holding", "Picture frozen", /^Picture is 2250 ms old, limit 400\. No new picture for 2\.3 s/],
    ["a picture in time", { pictureAgeMs: 90 }, "armed", "Armed", /Hold Space/],
    ["motion without a record", { control: { ...view, phase: "engaged" }, state: { said: { ...state, reason: { code: 21, seen: 120, limit: 100 } }, ageMs: 5 } }, "holding", "Holding", /^Motion is 120 ms ahead of its record, limit 100\./],
    ["nobody armed it", { control: { ...view, holdsControl: false }, state: undefined, notice: { said: { ...notice, flags: without(StateFlag.Armed) }, ageMs: 9 } }, "viewing", "Viewing", /two people sign/],
    ["armed, not ours", { control: { ...view, holdsControl: false }, state: undefined, holder: "another key" }, "viewing", "Viewing", /Control is with another key/],
    ["armed, free", { control: { ...view, holdsControl: false }, state: undefined, notice: { said: { ...notice, flags: without(StateFlag.Leased) }, ageMs: 9 } }, "viewing", "Viewing", /Take control/],
  ])("%s", (_, facts, look, word, why) => {
    const status = statusOf({ ...ready, ...facts });
    expect(status).toMatchObject({ look, word });
    expect(status.why).toMatch(why);
  });

  // Goal: red means e-stop or fault and nothing else, in any combination of the rest.
  it("red is kept for e-stop and FAULT", () => {
    const links: Facts["link"][] = [{ is: "connected", cloud: false }, { is: "connecting" }, { is: "refused", why: "no." }, { is: "cloud-unreachable" }];
    for (const link of links)
      for (const mode of [0, 1, 2, 3, 4] as const)
        for (const phase of ["up", "waiting", "engaging", "engaged", "spent"] as const) {
          const status = statusOf({ ...ready, link, control: { ...view, phase }, state: { said: { ...state, mode }, ageMs: 1 }, notice: { said: { ...notice, mode }, ageMs: 1 } });
          expect(status.look).not.toBe("stopped");
          expect(status.word.length).toBeGreaterThan(0);
          if (status.look === "engaged") expect([phase, mode <= 1]).toEqual(["engaged", true]);
        }
  });
});

describe("an arm", () => {
  const AT_REST = StateFlag.Homed | StateFlag.Armed | StateFlag.Leased | StateFlag.AtRest;
  const ENGAGED = (AT_REST & ~StateFlag.AtRest) | StateFlag.Engaged;
  it.each<[string, Mode, number, string, string]>([
    ["at rest", Mode.Holding, AT_REST, "still", "At rest"],
    ["left while it moved", Mode.Holding, AT_REST & ~StateFlag.AtRest, "still", "Comes to rest"],
    ["engaged", Mode.Free, ENGAGED, "engaged", "Engaged"],
    ["engaged on a slow line", Mode.Limited, ENGAGED, "engaged", "Slowly"],
    ["engaged at its edge", Mode.Free, ENGAGED | StateFlag.Clamped, "engaged", "At its edge"],
    ["held", Mode.Holding, ENGAGED, "holding", "Holding"],
    ["paused", Mode.Paused, AT_REST, "holding", "Paused"],
    ["not homed", Mode.Paused, AT_REST & ~StateFlag.Homed, "holding", "Not homed"],
    ["stopped", Mode.Stopped, AT_REST | StateFlag.EStop, "stopped", "Stopped"],
    ["faulty", Mode.Stopped, AT_REST & ~StateFlag.Homed, "stopped", "Fault"],
  ])("%s", (_, mode, flags, look, word) => {
    expect(armInWords({ ...state, mode, flags })).toEqual({ look, word });
  });

  // Goal: an arm at rest is told of ten times a second; what another arm's state says of the kit is said of it at once.
  it("is as its own state says, and its kit as the newest says", () => {
    const arm: KitState = { ...state, tickUs: 10n, mode: Mode.Holding, flags: AT_REST, jawRad: 0.5, newest: 3n };
    const other: KitState = { ...state, arm: 1, arms: 2, tickUs: 20n, mode: Mode.Free, flags: ENGAGED | StateFlag.Grasping, jawRad: 0.1, newest: 9n, pictureAgeMs: 77 };
    expect(upToDate(arm, other)).toMatchObject({ arm: arm.arm, tickUs: 20n, mode: Mode.Holding, flags: AT_REST, jawRad: 0.5, newest: 9n, pictureAgeMs: 77 });
    const reason = { code: 10, seen: 1, limit: 0 };
    const stop = upToDate(arm, { ...other, mode: Mode.Stopped, flags: StateFlag.EStop, reason });
    expect(stop).toMatchObject({ mode: Mode.Stopped, reason, flags: StateFlag.Homed | StateFlag.AtRest | StateFlag.EStop });
    expect(upToDate(other, arm)).toBe(other);
  });
});
