// What sight costs beside live video, in Chromium: the surgeon turns it off and on again, and in each segment the age of pictures when
// the browser calls back for them, the overlays that came, and the processor time of the thread that looks are counted. Prints one JSON object;
// `farhand bench vision` reads it.
//
//   node tests/browser/seen.mjs SOURCE MODEL
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ages, chromiumForTests, now, undisturbed, until, up, watching, withTest } from "./stage.mjs";

const [source, model] = process.argv.slice(2);
/** Of each kind, in turns. */
const PAIRS = 10;
const SEGMENT_MS = 10_000;
/** What was under way is over by then, and what waited for the validators. */
const SETTLED_MS = 1_500;
/** The kernel counts in these (`USER_HZ`). */
const TICKS_A_SECOND = 100;

const p95 = (list) => [...list].sort((a, b) => a - b)[Math.ceil(list.length * 0.95) - 1];

/** Seconds of one core that the thread which looks has used (`proc_pid_stat(5)`). */
function lookedS(pid) {
  const tasks = `/proc/${pid}/task`;
  const sight = readdirSync(tasks).find((task) => readFileSync(`${tasks}/${task}/comm`, "utf8").trim() === "sight");
  if (sight === undefined) throw new Error("no thread of the edge box looks");
  const fields = readFileSync(`${tasks}/${sight}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

async function segment(page, site, on) {
  await until(on ? "sight is on" : "sight is off", async () => {
    if (((await now(page)).wanted !== "off") === on) return true;
    await page.keyboard.press("v");
    return false;
  });
  await sleep(SETTLED_MS);
  return (await undisturbed(site, () => watched(page, site.processes.edge, on))).result;
}

async function watched(page, pid, on) {
  const [from, beganS, beganMs] = [await now(page), lookedS(pid), Date.now()];
  const behind = [];
  const { calledMs } = await ages(page, async () => {
    while (Date.now() < beganMs + SEGMENT_MS) {
      await sleep(500);
      const { sight } = await now(page);
      if (sight) behind.push(sight.behindMs);
    }
  });
  const [to, seconds] = [await now(page), (Date.now() - beganMs) / 1_000];
  return {
    on,
    seconds,
    pictures: calledMs.length,
    called_ms_p95: p95(calledMs),
    overlays: to.overlays - from.overlays,
    doubts: to.doubts - from.doubts,
    looked_s: lookedS(pid) - beganS,
    behind_ms: behind,
  };
}

const browser = await chromiumForTests();
const site = await up(1, { stamp: false, options: ["--video", source, "--vision", model] });
try {
  // Without reading pixels, as a surgeon has it.
  const surgeon = await watching(browser, site, withTest);
  await until("outlines come", async () => (await now(surgeon)).overlays > 5);
  const segments = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    // Which comes first changes from pair to pair, so that a drift is no difference.
    for (const on of pair % 2 === 0 ? [true, false] : [false, true]) segments.push(await segment(surgeon, site, on));
  }
  console.log(JSON.stringify({ source, browser: `Chromium ${browser.version()}`, segments }));
} finally {
  await browser.close();
  await site.end();
}
