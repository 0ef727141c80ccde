// What every test in the browser needs: everything started as a newcomer would, Debian's Chromium, and hands that act as
// people's do. `FARHAND_PICTURES=DIR` keeps screenshots, `FARHAND_KEEP=1` the data folder.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** Where the programs are: a bench names its own folder, so that it measures the build that it belongs to. */
export const BIN = process.env.FARHAND_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug");
const { chromium } = createRequire(join(ROOT, "cloud/console/package.json"))("playwright-core");
const PICTURES = process.env.FARHAND_PICTURES;

// CSS pixels of a drag for a millimetre of the tool, at the console's first scale (0.2): a pixel is 1/96 inch.
const SCALE = 0.2;
const PX_A_MM = 96 / 25.4 / SCALE;
// A wheel's pixel is 0.1 mm of hand.
const WHEEL_A_MM = 10 / SCALE;
// Faults of a machine that is short of time, in one operation.
const FAULTS_MAX = 6;
// Of one movement of the hand.
const STEPS = 16;

export const chromiumForTests = () =>
  chromium.launch({
    executablePath: process.env.FARHAND_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

/** Waits until `probe` gives something true, and says what it last gave if it never does. */
export async function until(what, probe, ms = 60_000) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await probe();
    if (last) return last;
    await sleep(50);
  }
  throw new Error(`${what}: not within ${ms} ms, last ${JSON.stringify(last)}`);
}

/** Everything, started as a newcomer would. */
export async function up(seed, { stamp = true, options = [] } = {}) {
  const data = mkdtempSync(join(tmpdir(), "farhand-"));
  const args = ["up", "--json", ...(stamp ? ["--stamp"] : []), "--listen", "127.0.0.1:0", "--speedup", "50", "--seed", `${seed}`, "--data", data, ...options];
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

/**
 * While `what` goes on, the validators do nothing: elsewhere they are other organisations' machines. One that was started again since
 * is not known here. Tells how many were halted.
 */
export async function undisturbed(site, what) {
  const known = Object.entries(site.processes).filter(([part]) => part.startsWith("validator"));
  const each = (signal) => known.filter(([, pid]) => told(pid, signal)).length;
  const halted = each("SIGSTOP");
  return { result: await what().finally(() => each("SIGCONT")), halted };
}

function told(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
    return false;
  }
}

/**
 * The age of every picture that comes while `what` goes on, in ms from its capture: when the browser calls back for it
 * (`requestVideoFrameCallback`), and when it is expected on the screen. The page is asked once, at the end: asking costs its time.
 */
export async function ages(page, what) {
  await page.evaluate(() => {
    // Anew each time: there is one for each path to the edge box, and they come and go.
    window.calledAtMs = {};
    for (const video of document.querySelectorAll("video")) {
      const notes = window.calledAtMs;
      const called = (_, { rtpTimestamp }) => {
        notes[rtpTimestamp] ??= performance.now();
        if (window.calledAtMs === notes) video.requestVideoFrameCallback(called);
      };
      video.requestVideoFrameCallback(called);
    }
  });
  await what();
  return page.evaluate(() => {
    const of = window.farhand.samples.filter(({ rtpTimestamp }) => rtpTimestamp in window.calledAtMs);
    return {
      calledMs: of.map(({ rtpTimestamp, shownMs, glassToGlassMs }) => window.calledAtMs[rtpTimestamp] - (shownMs - glassToGlassMs)),
      shownMs: of.map(({ glassToGlassMs }) => glassToGlassMs),
    };
  });
}

export const truth = (site) => {
  try {
    return JSON.parse(readFileSync(site.truth, "utf8"));
  } catch {
    return undefined;
  }
};

export async function open(browser, url, size = { width: 1440, height: 900 }) {
  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  page.on("pageerror", (error) => {
    throw error;
  });
  await page.goto(url);
  return page;
}

export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

export const withTest = (url) => url.replace("#", "?test=1#");
/** The stamps in the pixels are read as well. */
export const withStamps = (url) => url.replace("#", "?test=stamp#");
export const now = (page) => page.evaluate(() => window.farhand?.now);
export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();

export async function hold(page, name, ms) {
  const button = page.getByRole("button", { name, exact: true });
  await button.hover();
  await page.mouse.down();
  await sleep(ms);
  await page.mouse.up();
}

/** The field team: dispatch, bring up, pair. What does not come in time is told with what the page says instead. */
export async function deliver(page) {
  const done = async (step, ms = 90_000) => {
    await page.locator(`li[data-step="${step}"][data-state="done"]`).waitFor({ timeout: ms }).catch(async () => {
      throw new Error(`${step}: not within ${ms} ms; the field's page says: ${await page.locator("body").innerText()}`);
    });
  };
  await press(page, "Dispatch");
  await done("airborne", 60_000);
  await picture(page, "field-flying");
  await done("landed");
  await press(page, "Bring up");
  await done("self-tested");
  await press(page, "Pair");
  await done("paired");
  await picture(page, "field-done");
}

/** The surgeon's page, in front, once the kit is delivered and pictures come. */
export async function watching(browser, site, as = withStamps) {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const surgeon = await open(browser, as(site.operate));
  await deliver(field);
  await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
  await surgeon.bringToFront();
  return surgeon;
}

/** Both sign that a stop or a fault is over, if there is one. Who signs too early is told so, and signs once more. */
export async function clear(bedside, surgeon) {
  await until("the stop is cleared", async () => {
    if ((await now(surgeon)).look !== "stopped") return true;
    for (const page of [bedside, surgeon]) {
      await page.getByRole("button", { name: "Sign clearing", exact: true }).click({ timeout: 500 }).catch(() => {});
    }
    await sleep(1_000);
    return false;
  });
}

/** On a machine that is short of time the arm's cable may be silent for 50 ms: a fault, which stops the tool as it must.
 *  Two people clear it, and what was being done is begun again. */
export async function despiteFaults(bedside, surgeon, operation) {
  for (let faults = 0; ; faults++) {
    try {
      return { faults, result: await operation() };
    } catch (error) {
      if (faults === FAULTS_MAX || (await now(surgeon)).reason !== "ArmSilent") throw error;
      for (const key of ["Space", "d", "f"]) await surgeon.keyboard.up(key);
      await surgeon.mouse.up();
      await clear(bedside, surgeon);
      if (((await now(surgeon)).flags & 2) === 0) await arm(bedside, surgeon);
    }
  }
}

/** Both sign; the surgeon takes control. */
export async function arm(bedside, surgeon) {
  await until("the arm is homed", async () => {
    await clear(bedside, surgeon);
    if (((await now(surgeon))?.flags & 1) !== 0) return true;
    if (await bedside.getByRole("button", { name: "Home", exact: true }).isVisible()) {
      await press(bedside, "Home");
      await bedside.getByRole("button", { name: /^Press again: the arms? homes?$/ }).click();
      await sleep(2_000);
    }
    return false;
  });
  await press(bedside, "Sign arming");
  await press(surgeon, "Sign arming");
  await until("the arm is armed", async () => ((await now(surgeon))?.flags & 2) !== 0);
  await press(surgeon, "Take control");
  await until("the surgeon holds control", async () => (await now(surgeon))?.holdsControl);
}

/** Presses the dead-man; whoever is told to release and press again does so. */
export async function engage(page) {
  const engaged = async () => ((await now(page))?.flags & 4) !== 0;
  for (let tries = 0; tries < 5; tries++) {
    await page.keyboard.down("Space");
    if (await until("the tool follows", engaged, 4_000).catch(() => false)) return;
    await page.keyboard.up("Space");
    await sleep(500);
  }
  throw new Error(`the tool does not follow: ${JSON.stringify(await now(page))}`);
}

/** A machine that is short of time sends nothing for half a second: the arm pauses, and the hand does what the page asks for. */
export async function stayEngaged(page) {
  if (((await now(page))?.flags & 4) !== 0) return;
  await page.keyboard.up("Space");
  await sleep(500);
  await engage(page);
}

/** As a hand would: look, move a little towards it, look again. */
export async function reach(page, site, nearMm) {
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  for (let tries = 0; tries < 60; tries++) {
    const { error_mm, to_target_view_mm: way } = truth(site);
    if (error_mm < nearMm) return error_mm;
    const { look, why } = await now(page);
    if (look === "stopped") throw new Error(`the tool was stopped on its way: ${why}`);
    await stayEngaged(page);
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

export async function stands(site, what) {
  await until(`${what}: the tool stands`, () => truth(site).moving < 0.5, 5_000);
  const before = truth(site).tip_mm;
  await sleep(800);
  const moved = Math.hypot(...truth(site).tip_mm.map((mm, axis) => mm - before[axis]));
  assert.ok(moved < 0.2, `${what}: the tool moved by ${moved} mm`);
}
