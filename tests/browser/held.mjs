// How the picture holds over a line, in Chromium: how long it stood still at most, whether its age was ever told as less than the
// stamp in its pixels says, and how soon it is back after two seconds of nothing. Prints one JSON object a line;
// `farhand bench picture` reads them.
//
//   node tests/browser/held.mjs SECONDS PROFILE...
import { setTimeout as sleep } from "node:timers/promises";
import { chromiumForTests, now, open, press, until, up, watching } from "./stage.mjs";

const [seconds, ...profiles] = process.argv.slice(2);
const OUTAGES = 5;
const OUTAGE_MS = 2_000;
const SETTLED_MS = 8_000;

/** From now on, when another picture was seen, on the page's clock. */
const watch = (page) =>
  page.evaluate(() => {
    const seen = (window.seen = []);
    let last = null;
    const look = () => {
      const { frame } = window.farhand.now;
      if (frame !== last) seen.push([performance.now(), (last = frame)]);
      requestAnimationFrame(look);
    };
    look();
  });

const at = (list, share) => [...list].sort((a, b) => a - b)[Math.max(0, Math.ceil(list.length * share) - 1)];

/** As told, less what the stamp says, of each picture shown while this looked. */
async function told(page, from) {
  const samples = await page.evaluate(() => window.farhand.samples);
  return samples
    .filter((sample) => Number(sample.frame) > from && typeof sample.glassToGlassMs === "number" && typeof sample.stampMs === "number")
    .map((sample) => [Number(sample.frame), sample.glassToGlassMs - sample.stampMs, sample.glassToGlassMs]);
}

async function held(browser, profile) {
  const site = await up(1, { options: ["--link", profile] });
  try {
    const simulator = await open(browser, site.simulator);
    const surgeon = await watching(browser, site);
    await sleep(SETTLED_MS);
    await watch(surgeon);
    const [from, ages] = [(await now(surgeon)).frame, new Map()];
    for (let second = 0; second < Number(seconds); second++) {
      await sleep(1_000);
      for (const [frame, apart, age] of await told(surgeon, from)) ages.set(frame, [apart, age]);
    }
    const seen = await surgeon.evaluate(() => window.seen);
    const gaps = seen.slice(1).map(([ms], i) => ms - seen[i][0]);

    const back = [];
    for (let outage = 0; outage < OUTAGES; outage++) {
      await press(simulator, "Stall it");
      await sleep(OUTAGE_MS);
      const before = await now(surgeon);
      const flows = await surgeon.evaluate(() => performance.now());
      await press(simulator, "Stalled: let it flow");
      const next = await until("pictures come again", () => surgeon.evaluate(([frame]) => window.seen.find(([, number]) => number > frame)?.[0], [before.frame]));
      back.push(next - flows);
      await sleep(3_000);
    }
    const apart = [...ages.values()];
    console.log(
      JSON.stringify({
        profile,
        seconds: Number(seconds),
        pictures: gaps.length,
        gap_ms_p50: at(gaps, 0.5),
        gap_ms_p99: at(gaps, 0.99),
        gap_ms_max: Math.max(...gaps),
        frozen: gaps.filter((ms) => ms > 1_000).length,
        age_ms_p50: at(apart.map(([, age]) => age), 0.5),
        age_ms_p99: at(apart.map(([, age]) => age), 0.99),
        understated_ms_max: Math.max(0, ...apart.map(([less]) => -less)),
        stamped: apart.length,
        back_ms: back,
      }),
    );
  } finally {
    await site.end();
  }
}

const browser = await chromiumForTests();
for (const profile of profiles) await held(browser, profile);
await browser.close();
