// A whole operation, clicked through as people would, in Debian's Chromium: the field team flies and brings up the kit,
// bedside and surgeon arm it, the surgeon drags the tool onto the bead and grasps it, lets go, stops, clears, closes; the
// auditor verifies. What is asserted is what the simulated world knows (its truth file, which no page sees) and the bundle.
//
//   node tests/browser/session.mjs [SEED …]
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BIN, arm, chromiumForTests, deliver, despiteFaults, engage, hold, now, open, picture, press, reach, stands, stayEngaged, truth, until, up, withStamps } from "./stage.mjs";

const SEEDS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 2, 3];
// One frame of the simulated camera.
const FRAME_MS = 1000 / 30;
const run = promisify(execFile);

async function operate(bedside, surgeon, site) {
  const picturePlace = await surgeon.getByRole("main", { name: "Picture" }).boundingBox();
  await engage(surgeon);
  await jaws(surgeon, "d", "the jaws are open", () => truth(site).jaw_rad > 0.6);
  const error = await reach(surgeon, site, 1.5);
  await jaws(surgeon, "f", "the bead is grasped", () => truth(site).grasped);
  await picture(surgeon, "operate-grasped");
  await surgeon.keyboard.up("Space");
  await stands(site, "released");
  await picture(surgeon, "operate-holding");

  await surgeon.keyboard.press("Escape");
  await until("the stop is latched", async () => (await now(surgeon)).look === "stopped");
  await picture(surgeon, "operate-stopped");
  await surgeon.keyboard.down("Space");
  await surgeon.mouse.move(picturePlace.x + 300, picturePlace.y + 200);
  await surgeon.mouse.down();
  await surgeon.mouse.move(picturePlace.x + 500, picturePlace.y + 300, { steps: 20 });
  await surgeon.mouse.up();
  await stands(site, "stopped");
  await surgeon.keyboard.up("Space");
  await press(surgeon, "Sign clearing");
  await sleep(300);
  assert.equal((await now(surgeon)).look, "stopped", "one signature clears nothing");
  await press(bedside, "Sign clearing");
  await until("the stop is cleared", async () => (await now(surgeon)).look !== "stopped");
  await engage(surgeon);
  await surgeon.keyboard.up("Space");
  return error;
}

/** Holds the key down until the world says so. */
async function jaws(surgeon, key, what, isSo) {
  await until(what, async () => {
    await stayEngaged(surgeon);
    await surgeon.keyboard.down(key);
    return isSo();
  });
  await surgeon.keyboard.up(key);
}

/** What the page reckoned as glass to glass, against the time that travelled in the pixels. */
async function glassToGlass(page) {
  const samples = (await page.evaluate(() => window.farhand.samples)).filter(
    ({ glassToGlassMs, stampMs }) => typeof glassToGlassMs === "number" && typeof stampMs === "number",
  );
  assert.ok(samples.length >= 30, `only ${samples.length} frames have both figures`);
  const apart = samples.map(({ glassToGlassMs, stampMs }) => Math.abs(glassToGlassMs - stampMs)).sort((a, b) => a - b);
  const middle = (list) => list[Math.floor(list.length / 2)];
  const shown = samples.map((sample) => sample.glassToGlassMs).sort((a, b) => a - b);
  assert.ok(middle(apart) <= FRAME_MS, `glass to glass and stamp are ${middle(apart)} ms apart`);
  return { frames: samples.length, p50_ms: middle(shown), apart_p50_ms: middle(apart), apart_max_ms: apart.at(-1) };
}

async function audit(page, site) {
  const name = site.bundle.split("/").at(-1);
  await page.locator(`[data-bundle="${name}"]`).waitFor({ timeout: 60_000 });
  await press(page, `Verify ${name}`);
  await page.locator(`[data-report="${name}"] .verdict[data-exit="0"]`).waitFor({ timeout: 60_000 });
  await picture(page, "audit-holds");
  const { stdout } = await run(join(BIN, "farhand-audit"), ["verify", site.bundle, "--trust", site.trust, "--json"]);
  const report = JSON.parse(stdout);
  assert.ok(report.commands.taken_in > 0, "commands were applied, by the kit's own word");
  return report;
}

async function session(browser, seed) {
  const began = Date.now();
  const site = await up(seed);
  const pages = {};
  try {
    const field = await open(browser, site.field, { width: 390, height: 844 });
    const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
    const surgeon = await open(browser, withStamps(site.operate));
    const auditor = await open(browser, site.audit);
    Object.assign(pages, { field, bedside, surgeon, auditor });
    await deliver(field);
    await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
    await arm(bedside, surgeon);
    await surgeon.bringToFront();
    const { faults, result: error } = await despiteFaults(bedside, surgeon, () => operate(bedside, surgeon, site));
    const glass = await glassToGlass(surgeon);
    await hold(surgeon, "Close the operation", 2_000);
    await until("the kit says closed", async () => (await now(surgeon)).closed);
    const report = await audit(auditor, site);
    const { taken_in, refused } = report.commands;
    console.log(
      JSON.stringify({ seed, seconds: (Date.now() - began) / 1000, tip_error_mm: error, faults, taken_in, refused, frames: report.frames, ...glass }),
    );
  } catch (error) {
    for (const [name, page] of Object.entries(pages)) await picture(page, `failed-${name}`).catch(() => {});
    throw error;
  } finally {
    for (const page of Object.values(pages)) await page.context().close();
    await site.end();
  }
}

const browser = await chromiumForTests();
try {
  for (const seed of SEEDS) await session(browser, seed);
} finally {
  await browser.close();
}
