/** What the state's words are made from, as it stands now. */
import { type Surgeon } from "../../control/surgeon";
import { type Facts } from "../../words/status";

export function factsOf(surgeon: Surgeon, nowMs: number): Facts {
  const { station } = surgeon;
  const [notice, state] = [station.notice.value, surgeon.state];
  const arms = notice?.said.arms ?? [];
  // The signal says when something changed; the machine itself says how long a press has been waiting.
  const { arm } = surgeon.view.value;
  return {
    link: station.link.value,
    notice: notice && { said: notice.said, ageMs: Math.max(0, nowMs - notice.atMs) },
    state: state && { said: state.said, ageMs: Math.max(0, nowMs - state.atMs) },
    control: surgeon.control.view(performance.now()),
    arm: arms.length > 1 ? arms[arm]?.name : undefined,
    asking: surgeon.asking.value,
    pictureAgeMs: surgeon.pictureAgeMs(performance.now()),
    sealed: station.sealed.value,
    holder: notice?.said.holder && !station.isOurs(notice.said.holder) ? (station.nameOf(notice.said.holder) ?? "another console") : undefined,
  };
}
