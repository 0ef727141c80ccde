/** *Audit*: sealed sessions, to find, to check on this device, to look through. A verdict names who computed it. */
import "../styles/hand.css";
import "../styles/audit.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Boot } from "../link/boot";
import { type Identity, type Place } from "../link/rolelink";
import { bytesText, utc } from "../ui/figures";
import { toHex } from "../wire/bytes";
import { Archive, type Check } from "./audit/archive";
import { type Opened } from "./audit/check";
import { Find, matches } from "./audit/find";
import { type Head } from "./audit/head";
import { type Bundle, type Entry, type Finding, type Report, VERDICTS } from "./audit/model";
import { OpenedBundle } from "./audit/opened";
import { OwnTrustFile } from "./audit/trustfile";
import { Gate } from "./gate";

export function audit(place: Place) {
  const boot = new Boot(place, undefined);
  void boot.run();
  return <Audit boot={boot} />;
}

function Audit({ boot }: { readonly boot: Boot }) {
  const state = boot.state.value;
  if (state.is !== "not-open" || boot.identity === undefined) return <Gate state={state} title="Audit" />;
  return <Sealed identity={boot.identity} pseudonym={state.claimed.pseudonym} />;
}

function Sealed({ identity, pseudonym }: { readonly identity: Identity; readonly pseudonym: string }) {
  const archive = useMemo(() => new Archive(identity), [identity]);
  useEffect(() => archive.start(), [archive]);
  const [opened, setOpened] = useState<Opened | undefined>(undefined);
  const [wanted, setWanted] = useState("");
  const bundles = archive.bundles.value;
  const found = bundles?.filter((bundle) => matches(wanted, bundle, archive.heads.value.get(bundle.name), archive.saidOf(bundle.name)));
  const open = (name: string) => setOpened({ name, bundle: archive.path(`bundles/${name}`), archived: name });
  return (
    <div class="hand audit">
      <header>
        <span>
          <strong>Farhand</strong> audit
        </span>
        <OwnTrustFile />
        <span class="quiet">{pseudonym}</span>
      </header>
      {opened && <OpenedBundle key={opened.name} opened={opened} archive={archive} close={() => setOpened(undefined)} />}
      <main hidden={opened !== undefined}>
        <h1>Sealed sessions</h1>
        <Find wanted={wanted} want={setWanted} open={(file) => setOpened({ name: file.name, bundle: file, archived: undefined })} />
        <div role="status">
          {archive.trouble.value && <p class="refusal">{archive.trouble.value} Asking again.</p>}
          {bundles === undefined && !archive.trouble.value && <p>Asking for the list.</p>}
          {bundles?.length === 0 && <p>No session has been sealed yet. The list fills by itself.</p>}
        </div>
        {bundles && bundles.length > 0 && found?.length === 0 && <p>No session matches.</p>}
        {found && found.length > 0 && <Table bundles={found} archive={archive} open={open} />}
        <TrustRoot archive={archive} />
        <p class="quiet">
          To check a bundle without a browser, too: export it and run <code>farhand-audit verify FILE --trust GENESIS</code> with the trust root that you
          hold from elsewhere.
        </p>
      </main>
    </div>
  );
}

function TrustRoot({ archive }: { readonly archive: Archive }) {
  const trust = archive.trust.value;
  const linked = toHex(archive.identity.trust);
  return (
    <section class="trust" aria-label="Trust root">
      <h2>Trust root</h2>
      {trust.is === "asking" && <p>Asking for it.</p>}
      {trust.is === "failed" && <p class="refusal">Not there: {trust.why}</p>}
      {trust.is === "got" && (
        <div class="verdict" role="status" data-exit={trust.asLinked ? 0 : 1}>
          <strong>{trust.asLinked ? "✓ The one that your link names" : "✗ Not the one that your link names"}</strong>
          <p class="digest mono">Fingerprint {trust.fingerprint}</p>
          {!trust.asLinked && <p class="digest mono">Your link: {linked}</p>}
          {!trust.asLinked && <p>No verdict of this server counts. Tell whoever gave you the link.</p>}
        </div>
      )}
      {trust.is === "got" && (
        <a class="button" href={archive.path("trust")} download="genesis.trust">
          Download the trust root
        </a>
      )}
    </section>
  );
}

interface TableProps {
  readonly bundles: readonly Bundle[];
  readonly archive: Archive;
  readonly open: (name: string) => void;
}

function Table({ bundles, archive, open }: TableProps) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Bundle</th>
          <th scope="col">Opened</th>
          <th scope="col">Sealed</th>
          <th scope="col" class="number">
            Lasted
          </th>
          <th scope="col">People</th>
          <th scope="col">Checked</th>
          <th scope="col" class="number">
            Size
          </th>
          <th scope="col">
            <span class="hidden-but-read">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {bundles.map((bundle) => (
          <Row key={bundle.name} bundle={bundle} archive={archive} open={open} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  readonly bundle: Bundle;
  readonly archive: Archive;
  readonly open: (name: string) => void;
}

function Row({ bundle, archive, open }: RowProps) {
  const { name, bytes, sealedAtMs } = bundle;
  const head = archive.heads.value.get(name);
  const check = archive.checks.value.get(name);
  return (
    <>
      <tr data-bundle={name}>
        <td class="mono name" data-name="Bundle">
          {name}
        </td>
        <td class="when" data-name="Opened">
          {head?.is === "read" ? utc(new Date(head.head.openedMs)) : "–"}
        </td>
        <td class="when" data-name="Sealed">
          {sealedAtMs === undefined ? "–" : utc(new Date(sealedAtMs))}
        </td>
        <td class="number" data-name="Lasted">
          {head?.is === "read" ? lasted(head.head.durationMs) : "–"}
        </td>
        <td data-name="People">{head?.is === "read" ? people(head.head) : head?.is === "failed" ? `not told: ${head.why}` : "–"}</td>
        <td data-name="Checked">{archive.saidOf(name)}</td>
        <td class="number" data-name="Size">
          {bytesText(bytes)}
        </td>
        <td>
          <div class="actions">
            <button type="button" aria-label={`Open ${name}`} onClick={() => open(name)}>
              Open
            </button>
            <button type="button" class="plain" disabled={check?.is === "checking"} aria-label={`Verify ${name}`} onClick={() => void archive.verify(name)}>
              {check?.is === "checking" ? "Checking" : "Ask the server"}
            </button>
          </div>
        </td>
      </tr>
      {check !== undefined && check.is !== "checking" && (
        <tr data-report={name}>
          <td colSpan={8}>
            <Outcome check={check} linked={toHex(archive.identity.trust)} />
          </td>
        </tr>
      )}
    </>
  );
}

function people({ people: all }: Head): string {
  return all.map(({ pseudonym, role }) => `${pseudonym} ${role}`).join(", ");
}

function lasted(durationMs: number): string {
  const seconds = Math.round(durationMs / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

interface OutcomeProps {
  readonly check: Exclude<Check, { is: "checking" }>;
  /** Fingerprint that the link names. */
  readonly linked: string;
}

function Outcome({ check, linked }: OutcomeProps) {
  if (check.is === "failed") return <p class="refusal" role="status">{`Not checked: ${check.why}`}</p>;
  const { report } = check;
  return (
    <div class="verdict" data-exit={report.exit}>
      <div role="status">
        <strong>{VERDICTS[report.exit]}</strong>
        <p>
          Checked by this server, {under(report, linked)}. You have its word for it.
        </p>
        {report.unreadable !== "" && <p>{report.unreadable}</p>}
      </div>
      <Findings report={report} />
      <div class="parts">
        {report.parts.map(({ title, entries }) => (
          <section key={title} aria-label={title}>
            <h3>{title}</h3>
            <List entries={entries} />
          </section>
        ))}
      </div>
    </div>
  );
}

function under({ trustSha256 }: Report, linked: string): string {
  if (trustSha256 === "") return "which does not say under which trust root";
  return trustSha256 === linked ? "under the trust root that your link names" : "under another trust root than your link names";
}

/** So many are shown at once; the rest unfolds. */
const FINDINGS_SHOWN = 20;

function Findings({ report: { findings, findingsLeftOut } }: { readonly report: Report }) {
  if (findings.length === 0) return <p>No findings.</p>;
  const rest = findings.slice(FINDINGS_SHOWN);
  return (
    <section aria-label="Findings">
      <h3>{findings.length + findingsLeftOut === 1 ? "1 finding" : `${findings.length + findingsLeftOut} findings, as they stand in the log`}</h3>
      <FindingList findings={findings.slice(0, FINDINGS_SHOWN)} />
      {rest.length > 0 && (
        <details>
          <summary>{rest.length} more</summary>
          <FindingList findings={rest} />
        </details>
      )}
      {findingsLeftOut > 0 && <p>{findingsLeftOut} more were not listed.</p>}
    </section>
  );
}

function FindingList({ findings }: { readonly findings: readonly Finding[] }) {
  return (
    <ul class="findings">
      {findings.map(({ severity, name, leaf, what }, i) => (
        <li key={i} data-severity={severity}>
          <strong>{severity}</strong>
          {name !== "" && <span class="mono quiet">{name}</span>}
          {leaf !== "" && <span class="quiet">leaf {leaf}</span>}
          <span>{what}</span>
        </li>
      ))}
    </ul>
  );
}

function List({ entries }: { readonly entries: readonly Entry[] }) {
  return (
    <dl>
      {entries.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{typeof value === "string" ? value : inline(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A record inside a record: a line a field, or a line an item of a list with its fields one after the other. */
function inline(entries: readonly Entry[]) {
  if (entries.length === 0) return "none";
  const isList = entries[0]?.name === "1";
  return entries.map(({ name, value }) => (
    <div key={name}>
      {!isList && <span class="quiet">{name} </span>}
      {text(value)}
    </div>
  ));
}

function text(value: Entry["value"]): string {
  return typeof value === "string" ? value : value.map((field) => `${field.name} ${text(field.value)}`).join(" · ");
}
