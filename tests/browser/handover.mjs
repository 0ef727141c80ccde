// Control passes from one surgeon to another, and never lies with both: handed over in mid-operation, and taken over by two people
// after its holder's page has gone.
//
//   node tests/browser/handover.mjs
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { arm, chromiumForTests, clear, deliver, despiteFaults, engage, hold, now, open, picture, press, reach, stands, truth, until, up, withTest } from "./stage.mjs";

const LEASE_MS = 10_000;

const holds = async (page) => (await now(page))?.holdsControl === true;
const taken = (page) => until("control is taken", () => holds(page), 20_000);

const browser = await chromiumForTests();
const site = await up(1, { stamp: false, options: ["--second-surgeon"] });
try {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const first = await open(browser, withTest(site.operate));
  const second = await open(browser, withTest(site.second));
  await deliver(field);
  await field.context().close();
  for (const page of [first, second]) await until("a surgeon sees a picture", async () => (await now(page))?.frame > 10);
  await arm(bedside, first);

  // Handed over: the first lets go, the second takes it, and the first's hand moves nothing any more.
  await first.bringToFront();
  await despiteFaults(bedside, first, () => engage(first));
  await first.keyboard.up("Space");
  await picture(first, "hand-over");
  await hold(first, "Hand over to S2", 2_000);
  await until("the first has let go of control", async () => (await now(first)).flags !== null && ((await now(second)).flags & 64) === 0, 10_000);
  await press(second, "Take control");
  await taken(second);
  await until("the first knows", async () => !(await holds(first)), 10_000);
  assert.match(await first.locator(".state .why").textContent(), /Control is with S2/);
  const before = truth(site).error_mm;
  await second.bringToFront();
  const { faults } = await despiteFaults(bedside, second, async () => {
    await clear(bedside, second);
    await engage(second);
    return reach(second, site, before - 5);
  });
  await second.keyboard.up("Space");
  const { token } = await now(second);
  assert.equal(token, 2, "the second token of this kit");

  // Taken over: the second's page is gone, longer than a lease; whoever is left asks, and the bedside signs.
  await second.context().close();
  await sleep(LEASE_MS + 1_000);
  await first.bringToFront();
  await until("control has lapsed", async () => ((await now(first)).flags & 64) === 0, 10_000);
  await press(first, "Take control");
  await first.getByText("two people, one at the bedside").waitFor({ timeout: 10_000 });
  await picture(first, "take-over");
  await press(first, "Sign taking over");
  await picture(bedside, "take-over-bedside");
  await press(bedside, "Sign: control to S1");
  await until("the first takes control", async () => {
    await press(first, "Take control").catch(() => {});
    await sleep(300);
    return holds(first);
  }, 20_000);
  await despiteFaults(bedside, first, async () => {
    await engage(first);
    await first.keyboard.up("Space");
  });
  await stands(site, "after it all");
  console.log(JSON.stringify({ faults, token: (await now(first)).token }));
} finally {
  await browser.close();
  await site.end();
}
