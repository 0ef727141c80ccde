//! `farhand-flight`: flies one delivery and says how it went; or serves a site, and flies what is ordered.

mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use farhand_flight::{FlightLimits, LinkAddress, ServeConfig, UdpLink, fly, serve};
use farhand_mission::{Mission, Plan};

use show::Show;

/// Flies a delivery: takes off, follows the plan, lands at the delivery point, opens the gripper, disarms.
///
/// Talks MAVLink 2 to a PX4 or ArduPilot autopilot, or to the simulated aircraft. The
/// plan is QGroundControl's `.plan`: a take-off, waypoints, and a landing at the delivery
/// point, with an inclusion geofence if there is one. The kit is released only on the
/// ground and at the delivery point. If the link is lost, the aircraft follows its own failsafe.
///
/// Exit status: 0 delivered, 1 not delivered, 2 the plan, key or address can't be used.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    work: Option<Work>,
    /// The link: udp:ADDRESS:PORT waits for the aircraft to call, udpout:ADDRESS:PORT calls it.
    #[arg(long, value_name = "LINK", default_value = "udp:127.0.0.1:14540")]
    connect: LinkAddress,
    /// The plan to fly.
    #[arg(long, value_name = "FILE", required_unless_present = "trial")]
    plan: Option<PathBuf>,
    /// Fly the built-in delivery of a local trial instead of a plan of your own.
    #[arg(long, conflicts_with = "plan")]
    trial: bool,
    /// The payload's mass in kg, for a plan that does not say it.
    #[arg(long, value_name = "KG", conflicts_with = "trial")]
    payload_kg: Option<f64>,
    /// File with the link's signing key, 64 hex digits: what is not signed with it is not heard.
    #[arg(long, value_name = "FILE", env = "FARHAND_FLIGHT_KEY")]
    key: Option<PathBuf>,
    /// Print one JSON object a line: events, then the result.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Waits on the site's mesh for orders and flies them, one after the other.
    ///
    /// An order is a plan and the ledger's proofs that a kit was sealed and loaded. What happens to
    /// the kit is signed with this device's key and put on the ledger; events go out on the mesh. A
    /// flight that has begun goes on without mesh and ledger. Ends on SIGINT or SIGTERM; an aircraft
    /// that is in the air then follows its own failsafe.
    ///
    /// Exit status: 0 ended when told to, 2 the configuration can't be used.
    Serve {
        /// The configuration, TOML: key, genesis, kits, routes, journal, [autopilot], [mesh], [[validators]].
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let mut show = Show::new(arguments.json);
    if let Some(Work::Serve { config }) = &arguments.work {
        return match serve_until_told(config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                show.unusable(&error);
                ExitCode::from(2)
            }
        };
    }
    let (mission, key) = match prepare(&arguments) {
        Ok(prepared) => prepared,
        Err(error) => {
            show.unusable(&error);
            return ExitCode::from(2);
        }
    };
    let flown = UdpLink::open(arguments.connect, key)
        .and_then(|link| fly(link, mission, FlightLimits::default(), |event| show.event(event)));
    show.end(&flown);
    ExitCode::from(u8::from(flown.is_err()))
}

fn serve_until_told(config: &Path) -> anyhow::Result<()> {
    let config = ServeConfig::load(config).context("the configuration can't be used")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let running = serve(config)?;
        told_to_end().await?;
        running.stop().await;
        anyhow::Ok(())
    })
}

async fn told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        told = tokio::signal::ctrl_c() => told,
        _ = terminate.recv() => Ok(()),
    }
}

fn prepare(arguments: &Arguments) -> anyhow::Result<(Mission, Option<[u8; 32]>)> {
    let key = arguments.key.as_deref().map(read_key).transpose()?;
    let Some(path) = &arguments.plan else { return Ok((Mission::trial(), key)) };
    let mission = read_mission(path, arguments.payload_kg)
        .with_context(|| format!("the plan {} can't be flown", path.display()))?;
    Ok((mission, key))
}

fn read_mission(path: &Path, payload_kg: Option<f64>) -> anyhow::Result<Mission> {
    let text = std::fs::read_to_string(path).context("it can't be read")?;
    let mut plan = Plan::from_json(&text)?;
    plan.payload_mass_kg = payload_kg.or(plan.payload_mass_kg);
    Ok(Mission::from_plan(&plan)?)
}

fn read_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let wrong = || format!("the signing key {} can't be used: it must be 64 hex digits", path.display());
    let text = std::fs::read_to_string(path).with_context(wrong)?;
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key).with_context(wrong)?;
    Ok(key)
}
