/** Lines in virtual time, and what the line test finds of each. */
import { describe, expect, it } from "vitest";
import { LineTest, type Result } from "../src/link/linetest";

const LIMITS = new Map([
  ["command_age_ms_max", 300],
  ["speed_full_ms_max", 100],
  ["picture_age_ms_max", 400],
  ["silence_hold_ms_max", 50],
  ["silence_pause_ms_max", 500],
]);

interface Line {
  /** A probe sent at that time comes back after so long, or never. */
  readonly roundTripMs: (atMs: number) => number | undefined;
  readonly pictureAgeMs?: number;
  /** Between pictures. */
  readonly pictureMs?: number;
  /** The browser does nothing from the first to the second. */
  readonly stands?: readonly [number, number];
  readonly paths?: number;
}

function over({ roundTripMs, pictureAgeMs = 60, pictureMs = 33, stands = [0, 0], paths = 2 }: Line): Result {
  const test = new LineTest(0);
  const answers: { readonly atMs: number; readonly us: bigint }[] = [];
  for (let now = 0; now < 20_000; now += 1) {
    if (now > stands[0] && now < stands[1]) continue;
    for (const { us } of answers.filter(({ atMs }) => atMs <= now)) test.answered(us, now);
    answers.splice(0, answers.length, ...answers.filter(({ atMs }) => atMs > now));
    const us = now % 4 === 0 ? test.tick(now, paths) : undefined;
    const tripMs = us === undefined ? undefined : roundTripMs(now);
    if (us !== undefined && tripMs !== undefined) answers.push({ us, atMs: now + tripMs });
    if (now % pictureMs === 0) test.shown(pictureAgeMs, now);
  }
  return test.result(20_000, LIMITS);
}

const failed = (result: Result) => result.findings.filter(({ verdict }) => verdict === "fail").map(({ what }) => what);

describe("the line test", () => {
  it("passes a cable", () => {
    const result = over({ roundTripMs: () => 5 });
    expect([result.verdict, failed(result)]).toEqual(["pass", []]);
    expect(result.findings[0]?.seen).toBe(15);
  });

  /** Goal: a slow line is said to slow the hand, and by how much; one that the kit refuses is refused, with the limit. */
  it("says what a long line does to the hand", () => {
    const slow = over({ roundTripMs: () => 190 });
    expect(slow.verdict).toBe("slower");
    expect(slow.findings[0]?.why).toContain("50 of 100");
    const far = over({ roundTripMs: () => 600 });
    expect(failed(far)).toContain("Age of a command, 99 of 100");
    expect(far.findings[0]?.why).toContain("older than 300 ms");
  });

  /** Goal: a stall of a second is a pause, and several short ones are holds. */
  it("counts silences by what they would do", () => {
    const stall = over({ roundTripMs: (at) => (at > 5000 && at < 6000 ? undefined : 20) });
    expect(failed(stall)).toEqual(["Silences above 50 ms, a minute", "Longest silence"]);
    const once = over({ roundTripMs: (at) => (at > 5000 && at < 5060 ? undefined : 20) });
    expect(once.findings.find(({ what }) => what === "Longest silence")?.verdict).toBe("pass");
  });

  it("fails a line without answers or pictures", () => {
    const dead = over({ roundTripMs: () => undefined });
    expect(failed(dead)).toContain("Age of a command, 99 of 100");
    const blind = over({ roundTripMs: () => 5, pictureMs: 100_000 });
    expect(failed(blind)).toEqual(["Pictures a second", "Longest stand of the picture"]);
    expect(failed(over({ roundTripMs: () => 5, pictureAgeMs: 450 }))).toEqual(["Age of the picture, 95 of 100"]);
  });

  /** Goal: a browser that stood still is not taken for a bad line in silence: the report says whose fault it was. */
  it("says when it was the browser", () => {
    const result = over({ roundTripMs: () => 5, stands: [7000, 7200] });
    expect(result.findings.find(({ what }) => what === "Longest stand of this browser")).toMatchObject({ verdict: "slower", limit: 50 });
    expect(failed(result)).toEqual([]);
  });

  it("takes the first of two copies, and no answer that was never asked for", () => {
    const test = new LineTest(0);
    const us = test.tick(0, 2) as bigint;
    test.answered(us, 10);
    test.answered(us, 90);
    test.answered(123n, 95);
    expect(test.result(1000, LIMITS).findings[0]?.seen).toBe(20);
  });
});
