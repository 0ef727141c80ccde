// What the page reckons as glass to glass is what travelled in the pixels, within one frame; also when the edge box begins to
// hold every picture back by 120 ms, long after the clocks have met.
//
//   node tests/browser/glass.mjs
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { chromiumForTests, now, until, up, watching } from "./stage.mjs";

const FRAME_MS = 1000 / 30;
const DELAY_MS = 120;
const WATCHED_MS = 4_000;

const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Medians over the pictures of the next `ms` that have both figures. */
async function watch(page, ms = WATCHED_MS) {
  const from = (await now(page)).frame;
  await sleep(ms);
  const samples = (await page.evaluate(() => window.farhand.samples)).filter(
    ({ frame, glassToGlassMs, stampMs }) => Number(frame) > from && typeof glassToGlassMs === "number" && typeof stampMs === "number",
  );
  return {
    pictures: samples.length,
    reckoned_ms: middle(samples.map((sample) => sample.glassToGlassMs)),
    stamped_ms: middle(samples.map((sample) => sample.stampMs)),
    apart_ms: middle(samples.map((sample) => Math.abs(sample.glassToGlassMs - sample.stampMs))),
  };
}

const browser = await chromiumForTests();
const site = await up(1, { options: ["--test-delay-ms", `${DELAY_MS}`] });
try {
  const surgeon = await watching(browser, site);
  const before = await watch(surgeon);
  // Of a whole second's pictures: one that was late by itself is no delay that set in.
  await until("the delay has set in", async () => (await watch(surgeon, 1_000)).reckoned_ms > before.reckoned_ms + DELAY_MS / 2, 60_000);
  const after = await watch(surgeon);
  console.log(JSON.stringify({ before, after }));
  for (const { pictures, apart_ms } of [before, after]) {
    assert.ok(pictures >= 30, `only ${pictures} pictures have both figures`);
    assert.ok(apart_ms <= FRAME_MS, `page and pixels are ${apart_ms} ms apart`);
  }
  const [reckoned, stamped] = [after.reckoned_ms - before.reckoned_ms, after.stamped_ms - before.stamped_ms];
  assert.ok(Math.abs(reckoned - stamped) <= FRAME_MS, `the page sees ${reckoned} ms more, the pixels say ${stamped}`);
  assert.ok(stamped > DELAY_MS - FRAME_MS, `the pixels say only ${stamped} ms more`);
} finally {
  await browser.close();
  await site.end();
}
