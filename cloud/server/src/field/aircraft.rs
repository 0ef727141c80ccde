//! The way to the aircraft: the site's mesh. Opened again and again until its router is there; after that Zenoh itself
//! looks for a router that was lost.

use std::time::Duration;

use bytes::Bytes;
use farhand_link::DeviceId;
use farhand_mesh::{Mesh, MeshConfig, MeshError, Topic};
use tokio::sync::mpsc;

/// Between one try and the next.
const AGAIN: Duration = Duration::from_secs(2);

/// **Carries orders to `aircraft` and its news back, until nobody listens any more.**
pub(super) async fn carry(
    config: MeshConfig,
    aircraft: DeviceId,
    mut orders: mpsc::Receiver<Bytes>,
    news: mpsc::Sender<Bytes>,
) {
    while !news.is_closed() {
        if let Err(error) = exchange(&config, aircraft, &mut orders, &news).await {
            tracing::warn!(%error, "no way to the aircraft");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn exchange(
    config: &MeshConfig,
    aircraft: DeviceId,
    orders: &mut mpsc::Receiver<Bytes>,
    news: &mpsc::Sender<Bytes>,
) -> Result<(), MeshError> {
    let mesh = Mesh::open(config.clone()).await?;
    let mut events = mesh.subscribe(Topic::Event(aircraft)).await?;
    tracing::info!(router = %config.router, "is on the mesh");
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => mesh.publish(Topic::Order(aircraft), order).await?,
                None => return Ok(()),
            },
            event = events.recv() => match event {
                Some(event) => {
                    if news.send(event.bytes).await.is_err() {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            },
        }
    }
}
