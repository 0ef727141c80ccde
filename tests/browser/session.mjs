// A whole operation, clicked through as people would, in Debian's Chromium: the field team flies and brings up the kit,
// bedside and surgeon arm it, the surgeon drags the tool onto the bead and grasps it, lets go, stops, clears, closes; the
// auditor verifies. What is asserted is what the simulated world knows (its truth file, which no page sees) and the bundle.
//
//   node tests/browser/session.mjs [SEED …]        FARHAND_PICTURES=DIR keeps screenshots there
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const BIN = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug");
const { chromium } = createRequire(join(ROOT, "cloud/console/package.json"))("playwright-core");
const SEEDS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 2, 3];
const PICTURES = process.env.FARHAND_PICTURES;
const run = promisify(execFile);

// CSS pixels of a drag for a millimetre of the tool, at the console's first scale (0.2): a pixel is 1/96 inch.
const SCALE = 0.2;
const PX_A_MM = 96 / 25.4 / SCALE;
// A wheel's pixel is 0.1 mm of hand.
const WHEEL_A_MM = 10 / SCALE;
// Of one movement of the hand.
const STEPS = 16;
// One frame of the simulated camera.
const FRAME_MS = 1000 / 30;

/** Waits until `probe` gives something true, and says what it last gave if it never does. */
async function until(what, probe, ms = 60_000) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await probe();
    if (last) return last;
    await sleep(50);
  }
  throw new Error(`${what}: not within ${ms} ms`);
}

/** Everything, started as a newcomer would. */
async function up(seed) {
  const data = mkdtempSync(join(tmpdir(), "farhand-"));
  const args = ["up", "--json", "--stamp", "--listen", "127.0.0.1:0", "--speedup", "50", "--seed", `${seed}`, "--data", data];
  const child = spawn(join(BIN, "farhand"), args, { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
  const died = new Promise((_, reject) => child.once("exit", (code) => reject(new Error(`farhand up ended with ${code}`))));
  died.catch(() => {});
  const [line] = await Promise.race([new Promise((resolve) => createInterface({ input: child.stdout }).once("line", (text) => resolve([text]))), died]);
  const site = JSON.parse(line);
  const end = async () => {
    child.removeAllListeners("exit");
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await gone;
    if (!process.env.FARHAND_KEEP) rmSync(data, { recursive: true, force: true });
  };
  return { ...site, end };
}

const truth = (site) => {
  try {
    return JSON.parse(readFileSync(site.truth, "utf8"));
  } catch {
    return undefined;
  }
};

async function open(browser, url, size = { width: 1440, height: 900 }) {
  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(url);
  return page;
}

async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

const withTest = (url) => url.replace("#", "?test=1#");
const now = (page) => page.evaluate(() => window.farhand?.now);
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

async function hold(page, name, ms) {
  const button = page.getByRole("button", { name, exact: true });
  await button.hover();
  await page.mouse.down();
  await sleep(ms);
  await page.mouse.up();
}

/** The field team: dispatch, bring up, pair. */
async function deliver(page) {
  const done = (step) => page.locator(`li[data-step="${step}"][data-state="done"]`).waitFor({ timeout: 90_000 });
  await press(page, "Dispatch");
  await page.locator('li[data-step="airborne"][data-state="done"]').waitFor({ timeout: 60_000 });
  await picture(page, "field-flying");
  await done("landed");
  await press(page, "Bring up");
  await done("self-tested");
  await press(page, "Pair");
  await done("paired");
  await picture(page, "field-done");
}

/** Both sign; the surgeon takes control. */
async function arm(bedside, surgeon) {
  await press(bedside, "Home");
  await press(bedside, "Press again: the arm homes");
  await until("the arm is homed", async () => ((await now(surgeon))?.flags & 1) !== 0);
  await press(bedside, "Sign arming");
  await press(surgeon, "Sign arming");
  await until("the arm is armed", async () => ((await now(surgeon))?.flags & 2) !== 0);
  await press(surgeon, "Take control");
  await until("the surgeon holds control", async () => (await now(surgeon))?.holdsControl);
}

/** Presses the dead-man; whoever is told to release and press again does so. */
async function engage(page) {
  const engaged = async () => ((await now(page))?.flags & 4) !== 0;
  for (let tries = 0; tries < 5; tries++) {
    await page.keyboard.down("Space");
    if (await until("the tool follows", engaged, 4_000).catch(() => false)) return;
    await page.keyboard.up("Space");
    await sleep(500);
  }
  throw new Error(`the tool does not follow: ${JSON.stringify(await now(page))}`);
}

/** As a hand would: look, move a little towards it, look again. */
async function reach(page, site, nearMm) {
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  for (let tries = 0; tries < 60; tries++) {
    const { error_mm, to_target_view_mm: way } = truth(site);
    if (error_mm < nearMm) return error_mm;
    const share = Math.min(1, 4 / Math.hypot(...way));
    const [right, down, into] = way.map((mm) => mm * share);
    await page.mouse.move(x, y);
    await page.mouse.down();
    // A hand takes its time: what is faster than the console's speed limit is dropped.
    for (let step = 1; step <= STEPS; step++) {
      await page.mouse.move(x + (right * PX_A_MM * step) / STEPS, y + (down * PX_A_MM * step) / STEPS);
      await page.mouse.wheel(0, (-into * WHEEL_A_MM) / STEPS);
      await sleep(12);
    }
    await page.mouse.up();
    await sleep(400);
  }
  await picture(page, "not-reached");
  throw new Error(`the tool did not reach the bead: ${JSON.stringify(truth(site))} ${JSON.stringify(await now(page))}`);
}

async function stands(site, what) {
  await until(`${what}: the tool stands`, () => truth(site).moving < 0.5, 5_000);
  const before = truth(site).tip_mm;
  await sleep(800);
  const moved = Math.hypot(...truth(site).tip_mm.map((mm, axis) => mm - before[axis]));
  assert.ok(moved < 0.2, `${what}: the tool moved by ${moved} mm`);
}

async function operate(bedside, surgeon, site) {
  const picturePlace = await surgeon.getByRole("main", { name: "Picture" }).boundingBox();
  await engage(surgeon);
  await surgeon.keyboard.down("d");
  await until("the jaws are open", () => truth(site).jaw_rad > 0.6);
  await surgeon.keyboard.up("d");
  const error = await reach(surgeon, site, 1.5);
  await surgeon.keyboard.down("f");
  await until("the bead is grasped", () => truth(site).grasped);
  await surgeon.keyboard.up("f");
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
    const surgeon = await open(browser, withTest(site.operate));
    const auditor = await open(browser, site.audit);
    Object.assign(pages, { field, bedside, surgeon, auditor });
    await deliver(field);
    await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
    await arm(bedside, surgeon);
    await surgeon.bringToFront();
    const error = await operate(bedside, surgeon, site);
    const glass = await glassToGlass(surgeon);
    await hold(surgeon, "Close the operation", 2_000);
    await until("the kit says closed", async () => (await now(surgeon)).closed);
    const report = await audit(auditor, site);
    const { taken_in, refused } = report.commands;
    console.log(
      JSON.stringify({ seed, seconds: (Date.now() - began) / 1000, tip_error_mm: error, taken_in, refused, frames: report.frames, ...glass }),
    );
  } catch (error) {
    for (const [name, page] of Object.entries(pages)) await picture(page, `failed-${name}`).catch(() => {});
    throw error;
  } finally {
    for (const page of Object.values(pages)) await page.context().close();
    await site.end();
  }
}

const browser = await chromium.launch({
  executablePath: process.env.FARHAND_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  for (const seed of SEEDS) await session(browser, seed);
} finally {
  await browser.close();
}
