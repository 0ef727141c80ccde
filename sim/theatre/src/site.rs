//! A local trial's site: one hospital, its ledger of five validators, its devices and their certificates, in one folder.
//!
//! Made once and kept: a second start finds the same keys and the same ledger, and auditors the bundles of earlier
//! sessions under the same trust root. What belongs to one session is in a folder of its own ([`crate::session`]).

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, bail};
use farhand_ledger::TrustRoot;
use farhand_link::{DeviceId, DeviceKey};
use farhand_mesh::Authority;
use farhand_validator::{ClientRole, LocalPlan, ValidatorConfig, make_local_ledger};

/// Everything listens here: a trial speaks to nobody outside its machine.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const VALIDATORS: usize = 5;

/// The folder, and who is in it.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
    pub(crate) trust: TrustRoot,
    pub(crate) keys: Keys,
    /// Where clients find the validators.
    pub(crate) validators: Vec<(DeviceId, SocketAddr)>,
    /// Where validators listen, or are going to.
    pub(crate) taken: Vec<SocketAddr>,
}

/// The keys of whoever acts here. In earnest no two of them are in one hand.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Grants roles, opens sessions, admits devices to the mesh.
    pub(crate) hospital: DeviceKey,
    /// The hospital's desk as a client of the ledger.
    pub(crate) desk: DeviceKey,
    /// Where kits are packed and sealed.
    pub(crate) depot: DeviceKey,
    pub(crate) edge: DeviceKey,
    pub(crate) cloud: DeviceKey,
    pub(crate) aircraft: DeviceKey,
    pub(crate) router: DeviceKey,
}

impl Site {
    /// The site in `folder`, made there if it is absent.
    pub(crate) fn open_or_make(folder: &Path) -> anyhow::Result<Self> {
        let folder = std::path::absolute(folder)?;
        let ledger = folder.join("ledger");
        fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let keys = Keys::open_or_make(&folder.join("keys"))?;
        if !ledger.join("genesis.trust").exists() {
            make_ledger(&ledger, &keys)?;
        }
        let genesis = ledger.join("genesis.trust");
        let trust = TrustRoot::read(&fs::read(&genesis)?)
            .with_context(|| format!("{} is not a ledger's genesis", genesis.display()))?;
        let hospital = DeviceKey::load(&ledger.join("hospital.key"))?;
        let mut site = Self {
            folder,
            trust,
            keys: Keys { hospital, ..keys },
            validators: Vec::new(),
            taken: Vec::new(),
        };
        site.find_validators()?;
        Ok(site)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn genesis(&self) -> PathBuf {
        self.path("ledger/genesis.trust")
    }

    /// Where sealed sessions are kept.
    pub(crate) fn bundles(&self) -> PathBuf {
        self.path("bundles")
    }

    /// A configuration file for each validator.
    pub(crate) fn validator_configs(&self) -> Vec<PathBuf> {
        (1..=VALIDATORS)
            .map(|number| self.path(&format!("ledger/validator-{number}/validator.toml")))
            .collect()
    }

    fn find_validators(&mut self) -> anyhow::Result<()> {
        for path in self.validator_configs() {
            let config = ValidatorConfig::load(&path)?;
            self.validators.push((config.key.id(), config.client_listen));
            self.taken.extend([config.peer_listen, config.client_listen]);
        }
        Ok(())
    }
}

impl Keys {
    fn open_or_make(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let key = |name: &str| {
            let path = folder.join(name).with_extension("key");
            DeviceKey::load_or_create(&path).with_context(|| format!("the key {}", path.display()))
        };
        Ok(Self {
            hospital: DeviceKey::generate()?, // the ledger's own takes its place
            desk: key("desk")?,
            depot: key("depot")?,
            edge: key("edge")?,
            cloud: key("cloud")?,
            aircraft: key("aircraft")?,
            router: key("router")?,
        })
    }
}

/// A ledger that was begun and not finished is begun anew: its genesis is written last.
fn make_ledger(folder: &Path, keys: &Keys) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("could not remove the half-made {}", folder.display()))?;
    }
    make_local_ledger(&LocalPlan {
        data: folder.join("data"),
        out: folder.to_owned(),
        validators: VALIDATORS,
        listen: LOOPBACK,
        first_port: 0,
        clients: vec![
            (keys.desk.id(), ClientRole::Cloud),
            (keys.cloud.id(), ClientRole::Cloud),
            (keys.edge.id(), ClientRole::Edge),
            (keys.aircraft.id(), ClientRole::Flight),
        ],
    })?;
    Ok(())
}

/// Writes a file whole or not at all, for others that look for it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    fs::write(&part, bytes)?;
    fs::rename(&part, path)
}

/// Certificates for the mesh: the site's own, the router's, and one for each device.
pub(crate) fn certify(site: &Site, folder: &Path, devices: &[(&str, DeviceId)]) -> anyhow::Result<()> {
    let now = SystemTime::now();
    let authority = Authority::new(site.keys.hospital.clone());
    let router = authority.admit_router(site.keys.router.id(), &[LOOPBACK], now)?;
    write(&folder.join("anchor.pem"), authority.anchor(now)?.pem().as_bytes())?;
    write(&folder.join("router.pem"), router.pem().as_bytes())?;
    for (name, device) in devices {
        write(&folder.join(format!("{name}.pem")), authority.admit(*device, now)?.pem().as_bytes())?;
    }
    Ok(())
}

/// Refuses a folder that holds something else, before anything is written into it.
pub(crate) fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let Ok(mut entries) = fs::read_dir(folder) else { return Ok(()) };
    if entries.next().is_some() && !folder.join("keys").is_dir() {
        bail!("{} holds something else than Farhand's data; give another --data", folder.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a second start finds the same ledger and the same keys; a folder of something else is left alone.
    #[test]
    fn a_site_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let made = Site::open_or_make(folder.path()).unwrap();
        let again = Site::open_or_make(folder.path()).unwrap();
        assert_eq!(made.trust.fingerprint(), again.trust.fingerprint());
        assert_eq!(made.keys.edge.id(), again.keys.edge.id());
        assert_eq!(made.validators, again.validators);
        assert_eq!(made.validators.len(), VALIDATORS);
        check_folder(folder.path()).unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("thesis.txt"), "mine").unwrap();
        assert!(check_folder(other.path()).is_err());
    }
}
