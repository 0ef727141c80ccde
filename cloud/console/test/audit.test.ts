/** The audit page: lists are read newest first, and no verdict is made up. */
import { describe, expect, it } from "vitest";
import { readBundles, readReport } from "../src/pages/audit/model";
import { degrees, poseText } from "../src/pages/audit/say";
import { figure } from "../src/ui/figures";

describe("figures", () => {
  // Goal: a tool at rest is at zero, not a little below it.
  it("have no sign where they round to nothing", () => {
    expect(poseText({ positionM: [-0.000004, -0, -0.000006], orientationWxyz: [1, 0, 0, 0] })).toBe("0.00  0.00  -0.01 mm");
    expect([degrees(-0.0001), degrees(-0.1), figure(-0.4, "mm"), figure(-0.6, "mm")]).toEqual(["0.0°", "-5.7°", "0 mm", "-1 mm"]);
  });
});

describe("bundles", () => {
  it("come newest first, and a name that could lead elsewhere is left out", () => {
    const listed = readBundles([
      { name: "a.mcap", bytes: 10, sealed_at_ms: 1 },
      { name: "b.mcap", bytes: 20, sealed_at_ms: 2 },
      { name: "../../etc/passwd", bytes: 1, sealed_at_ms: 3 },
      { name: "x?y", bytes: 1, sealed_at_ms: 3 },
      "nonsense",
    ]);
    expect(listed).toEqual([
      { name: "b.mcap", bytes: 20, sealedAtMs: 2 },
      { name: "a.mcap", bytes: 10, sealedAtMs: 1 },
    ]);
    expect(readBundles({ bundles: [] })).toBeUndefined();
  });
});

describe("reports", () => {
  const plain = {
    ...{ verdict: "holds", exit: 0, unreadable: null, bytes: 48_123_456, findings: [], findings_left_out: 0 },
    ...{ trust: { given: true, sha256: "00ff", ledger: "aa" }, session: { id: "01", people: [{ role: "surgeon", pseudonym: "surgeon-1" }], closed: "by the bedside", times: { first: null } } },
    ...{ leaves: { total: 41_233, redactions: [] }, commands: { sent: 12_905, taken_in: 12_000 }, checkpoints: 12 },
  };

  // Goal: everything that the report holds is shown, whatever it is; only the exit decides the verdict.
  it("show everything they hold", () => {
    const report = readReport(plain)!;
    expect(report).toMatchObject({ exit: 0, unreadable: "", trustSha256: "00ff", findings: [], findingsLeftOut: 0 });
    expect(report.parts.map(({ title }) => title)).toEqual(["Counted", "Trust", "Session", "Leaves", "Commands"]);
    expect(report.parts[0]!.entries).toEqual([{ name: "bytes", value: "48,123,456" }, { name: "checkpoints", value: "12" }]);
    expect(report.parts[2]!.entries).toEqual([
      { name: "id", value: "01" },
      { name: "people", value: [{ name: "1", value: [{ name: "role", value: "surgeon" }, { name: "pseudonym", value: "surgeon-1" }] }] },
      { name: "closed", value: "by the bedside" },
      { name: "times", value: [{ name: "first", value: "–" }] },
    ]);
    expect(report.parts[4]!.entries).toContainEqual({ name: "taken in", value: "12,000" });
  });

  it("name what was found, in its order, whatever its shape", () => {
    const findings = [{ leaf: 2201, name: "checkpoint-root", severity: "violation", what: "root differs" }, { leaf: null, severity: "note", what: "a gap" }, "odd", { odd: 1 }];
    expect(readReport({ ...plain, exit: 1, findings, findings_left_out: 3 })).toMatchObject({
      exit: 1,
      findingsLeftOut: 3,
      findings: [
        { severity: "violation", name: "checkpoint-root", leaf: "2,201", what: "root differs" },
        { severity: "note", name: "", leaf: "", what: "a gap" },
        { severity: "violation", name: "", leaf: "", what: "odd" },
        { severity: "violation", leaf: "", what: '{"odd":1}' },
      ],
    });
    expect(readReport({ ...plain, exit: 2, unreadable: "no MCAP" })?.unreadable).toBe("no MCAP");
  });

  it("are none without an exit that is known", () => {
    for (const bad of [{}, { exit: 4 }, { exit: "0" }, null, [0]]) expect(readReport(bad)).toBeUndefined();
  });

  it("are cut where they would never end, and say so", () => {
    const report = readReport({ exit: 1, findings: Array.from({ length: 2000 }, () => "x"), findings_left_out: 5 })!;
    expect([report.findings.length, report.findingsLeftOut]).toEqual([1000, 1005]);
  });
});
