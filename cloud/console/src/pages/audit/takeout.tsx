/** The export's buttons, and the proof that it is recorded. */
import { useMemo } from "preact/hooks";
import { type Report } from "../../bundle/verify";
import { type Identity } from "../../link/rolelink";
import { type TrustRoot } from "../../trust/root";
import { bytesText } from "../../ui/figures";
import { fromHex, toHex } from "../../wire/bytes";
import { Exporter, type State } from "./export";

interface Props {
  readonly name: string;
  readonly report: Report;
  readonly identity: Identity;
  readonly trust: TrustRoot;
}

export function TakeOut({ name, report, identity, trust }: Props) {
  const [session, digest] = [fromHex(report.session?.id ?? "", 16), fromHex(report.digest, 32)];
  const exporter = useMemo(() => (session && digest ? new Exporter(identity, trust, { session, digest }) : undefined), [name, report, identity, trust]);
  if (exporter === undefined) return <p class="quiet">What does not hold is not exported from here: there is nothing to put on record.</p>;
  const state = exporter.state.value;
  const busy = state.is === "recording";
  return (
    <section class="takeout" aria-label="Export">
      <div class="bar">
        <h2>Export, on record</h2>
        <button type="button" class="plain" disabled={busy} onClick={() => void exporter.record({ name, pictures: "with" })}>
          Export whole
        </button>
        <button type="button" class="plain" disabled={busy} onClick={() => void exporter.record({ name, pictures: "without" })}>
          Export without pictures
        </button>
        <span role="status">{said(state)}</span>
      </div>
      {state.is === "recorded" && (
        <div class="recorded" data-recorded={state.wanted.pictures}>
          <p>
            <span aria-hidden="true">✓</span> On the ledger: block {String(state.proven.position[0])}, transaction {String(state.proven.position[1])}, committed{" "}
            {new Date(Number(state.proven.committed.us) / 1000).toISOString()} by the validators' clocks, {state.signers} of {trust.validators.length} of them signed. Checked on this
            device.
          </p>
          <p class="quiet mono">
            By your key {toHex(state.proven.author).slice(0, 16)}…, session {toHex(state.offer.session).slice(0, 16)}…, {bytesText(state.offer.bytes)}, SHA-256 {toHex(state.offer.digest)}
          </p>
          <a class="button" href={exporter.file(state.wanted)} download={name}>
            Download {state.wanted.pictures === "with" ? "the bundle" : "it without pictures"}
          </a>
        </div>
      )}
    </section>
  );
}

function said(state: State): string {
  switch (state.is) {
    case "idle":
      return "Who takes it out, and what, goes on the ledger first.";
    case "recording":
      return "Signed with your key. Waiting for the ledger.";
    case "refused":
      return `Not exported: ${state.why}`;
    case "recorded":
      return "Recorded.";
  }
}
