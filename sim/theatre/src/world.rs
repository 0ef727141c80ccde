//! `farhand world`: the simulated arm as a process of its own, on the cable that a real arm would have.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args;
use farhand_kit::ArmCable;
use farhand_motion::ArmModel;
use farhand_world::{Arm, live::serve_arm};

/// Runs the simulated arm: UDP on the loopback, sealed under the cable's key, with a watchdog of its own.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The arm's end of the cable.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The kit's end.
    #[arg(long, value_name = "ADDR")]
    kit: SocketAddr,
    /// File with the cable's key: 64 hex digits.
    #[arg(long, value_name = "FILE")]
    cable_key: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cable =
        ArmCable { listen: arguments.kit, address: arguments.listen, key: arguments.cable_key.clone() };
    let key = cable.read_key().context("the arm does not start")?;
    let model = ArmModel::psm_large_needle_driver();
    let start = model.home().joints.0;
    let arm = Arm::new(model, &key, start);
    serve_arm(arm, arguments.listen, arguments.kit, &AtomicBool::new(false), |_| ()).with_context(|| {
        format!("cannot open the arm's cable at {}: is another arm running?", arguments.listen)
    })
}
