/** The export's buttons, what is marked to be left out, and the proof that it is recorded. */
import { useMemo } from "preact/hooks";
import { type Report } from "../../bundle/verify";
import { type Identity } from "../../link/rolelink";
import { type TrustRoot } from "../../trust/root";
import { bytesText } from "../../ui/figures";
import { fromHex, toHex } from "../../wire/bytes";
import { Exporter, type State } from "./export";
import { type Marks, counted, saidOf } from "./marks";

interface Props {
  readonly name: string;
  readonly report: Report;
  readonly identity: Identity;
  readonly trust: TrustRoot;
  readonly marks: Marks | undefined;
}

export function TakeOut({ name, report, identity, trust, marks }: Props) {
  const [session, digest] = [fromHex(report.session?.id ?? "", 16), fromHex(report.digest, 32)];
  const exporter = useMemo(() => (session && digest ? new Exporter(identity, trust, { session, digest }) : undefined), [name, report, identity, trust]);
  if (exporter === undefined) return <p class="quiet">What does not hold is not exported from here: there is nothing to put on record.</p>;
  const state = exporter.state.value;
  const busy = state.is === "recording";
  const total = marks?.total.value ?? 0;
  const many = total.toLocaleString("en-GB");
  const record = (without: string, said: string) => void exporter.record({ name, without, said });
  return (
    <section class="takeout" aria-label="Export">
      <div class="bar">
        <h2>Export, on record</h2>
        <button type="button" class="plain" disabled={busy} onClick={() => record("", "the bundle")}>
          Export whole
        </button>
        <button type="button" class="plain" disabled={busy} onClick={() => record("pictures", "it without pictures")}>
          Export without pictures
        </button>
        {marks && total > 0 && (
          <button type="button" class="plain" disabled={busy} onClick={() => record(marks.words, `it without ${total === 1 ? "1 entry" : `${many} entries`}`)}>
            Export without the {total === 1 ? "marked entry" : `${many} marked entries`}
          </button>
        )}
        <span role="status">{said(state)}</span>
      </div>
      {marks && <Marked marks={marks} of={report.counts["leaves"] ?? 0} />}
      {state.is === "recorded" && (
        <div class="recorded" data-recorded={state.wanted.without || "whole"}>
          <p>
            <span aria-hidden="true">✓</span> On the ledger: epoch {String(state.proven.position.epoch)}, block {String(state.proven.position.height)}, transaction {String(state.proven.position.index)}, committed{" "}
            {new Date(Number(state.proven.committed.us) / 1000).toISOString()} by the validators' clocks, {state.signers} of {state.validators} of them signed. Checked on this
            device.
          </p>
          <p class="quiet mono">
            By your key {toHex(state.proven.author).slice(0, 16)}…, session {toHex(state.offer.session).slice(0, 16)}…, {bytesText(state.offer.bytes)}, SHA-256 {toHex(state.offer.digest)}
          </p>
          <a class="button" href={exporter.file(state.wanted)} download={name}>
            Download {state.wanted.said}
          </a>
        </div>
      )}
    </section>
  );
}

/** What will be left out, before it is. */
function Marked({ marks, of }: { readonly marks: Marks; readonly of: number }) {
  const list = marks.list.value;
  if (list.length === 0) return null;
  return (
    <div class="bar marked" role="group" aria-label="Marked to be left out">
      <span role="status">
        Will be left out: {counted(marks.counts.value)}; {marks.total.value.toLocaleString("en-GB")} of {of.toLocaleString("en-GB")} entries. Their hashes stay, so the rest can be checked.
      </span>
      {list.map((mark) => (
        <button key={saidOf(mark)} type="button" class="plain" aria-label={`Unmark ${saidOf(mark)}`} onClick={() => marks.toggle(mark)}>
          {saidOf(mark)} <span aria-hidden="true">×</span>
        </button>
      ))}
    </div>
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
