//! Five validators in this process: what they cost when idle, and how long a commit takes at a steady rate.
//!
//! `cargo run --release -p farhand-validator --example commit_latency -- [TRANSACTIONS_PER_S] [SECONDS] [IDLE_SECONDS]`
//! prints one JSON object.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that can't go on says so")]

use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use farhand_ledger::{Event, Grant, Hash, Transaction, Utc};
use farhand_submit::Client;
use farhand_validator::{LocalLedger, LocalPlan, ValidatorConfig, make_local_ledger, run_validator};
use farhand_wire::{PublicKey, Role};
use hdrhistogram::Histogram;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let [rate, seconds, idle_s] = [50, 20, 20].map(|usual| arguments.next().unwrap_or(usual));
    let dir = tempfile::tempdir().unwrap();
    let made = make_local_ledger(&LocalPlan {
        data: dir.path().join("data"),
        out: dir.path().join("out"),
        validators: 5,
        listen: [127, 0, 0, 1].into(),
        first_port: 0,
        clients: Vec::new(),
    })
    .unwrap();
    let mut validators = Vec::new();
    for config in &made.configs {
        validators.push(run_validator(ValidatorConfig::load(config).unwrap()).await.unwrap());
    }
    let client = Client::connect(&made.client, made.trust.clone(), &made.client_addrs).await.unwrap();
    client.commit(&transaction(&made, 0), Duration::from_secs(30)).await.unwrap();

    let (cpu, began) = (cpu_s(), Instant::now());
    tokio::time::sleep(Duration::from_secs(idle_s)).await;
    let idle_percent = 100.0 * (cpu_s() - cpu) / began.elapsed().as_secs_f64();

    let (cpu, began) = (cpu_s(), Instant::now());
    let latencies = at_a_steady_rate(&made, &client, rate, seconds).await;
    let busy_percent = 100.0 * (cpu_s() - cpu) / began.elapsed().as_secs_f64();
    let ms = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{{\"name\":\"ledger\",\"load\":{},\"metrics\":{{\"transactions_per_s\":{rate},\"commits\":{},\"commit_ms_p50\":{:.1},\"commit_ms_p99\":{:.1},\"commit_ms_max\":{:.1},\"idle_cpu_percent\":{idle_percent:.1},\"busy_cpu_percent\":{busy_percent:.1}}}}}",
        fs::read_to_string("/proc/loadavg").unwrap().split(' ').next().unwrap(),
        latencies.len(),
        ms(0.5),
        ms(0.99),
        ms(1.0),
    );
    for validator in validators {
        validator.stop().await;
    }
}

/// From submission to the proof, checked, µs.
async fn at_a_steady_rate(made: &LocalLedger, client: &Client, rate: u64, seconds: u64) -> Histogram<u64> {
    let mut tasks = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
    for number in 1..=rate * seconds {
        ticks.tick().await;
        let (signed, client) = (transaction(made, number), client.clone());
        tasks.spawn(async move {
            let began = Instant::now();
            client.commit(&signed, Duration::from_secs(30)).await.unwrap();
            u64::try_from(began.elapsed().as_micros()).unwrap()
        });
    }
    let mut latencies = Histogram::new(3).unwrap();
    while let Some(taken_us) = tasks.join_next().await {
        latencies.record(taken_us.unwrap()).unwrap();
    }
    latencies
}

fn transaction(made: &LocalLedger, number: u64) -> Vec<u8> {
    let us = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let key = PublicKey(Hash::of(&number.to_le_bytes()).0);
    let grant = Grant { key, role: Role::Field, pseudonym: "somebody".to_owned(), until_utc_ms: us / 1000 };
    let at = Utc { us, uncertainty_us: 1000 };
    Transaction { ledger: made.trust.ledger(), at, event: Event::Grant(grant) }
        .sign(made.hospital.signing_key())
        .unwrap()
}

/// Processor time of this process so far; a tick is a hundredth of a second (proc_pid_stat(5)).
fn cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
