//! The architecture's invariants, over what cargo says of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Crates that are functions of their input: no clock, random numbers, socket, thread or file.
const PURE: [&str; 5] =
    ["farhand-wire", "farhand-guard", "farhand-motion", "farhand-ledger", "farhand-mission"];
/// What a pure crate may not be built on, however far below.
const IMPURE: [&str; 10] =
    ["tokio", "quinn", "mio", "socket2", "chrono", "time", "tempfile", "zenoh", "gstreamer", "wgpu"];
/// What it may not ask for itself; the signature crates below it can draw random numbers, and are never asked to.
const IMPURE_ASKED: [&str; 4] = ["getrandom", "rand", "rand_core", "fastrand"];
/// What a regulator need not build to check a session.
const NOT_FOR_AUDIT: [&str; 6] = ["gstreamer", "wgpu", "candle-core", "zenoh", "webrtc", "tokio"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path("../Cargo.toml").exec().expect("cargo metadata works in a checkout")
}

/// The folder under the root that holds the package: `shared`, `edge` and so on.
fn realm(metadata: &Metadata, package: &Package) -> String {
    let folder =
        package.manifest_path.strip_prefix(&metadata.workspace_root).expect("members are below the root");
    folder.components().next().map_or(String::new(), |first| first.to_string())
}

/// Every normal dependency between members, as (from, to).
fn arrows(metadata: &Metadata) -> Vec<(&Package, &Package)> {
    let members = metadata.workspace_packages();
    let by_name: BTreeMap<&str, &Package> =
        members.iter().map(|member| (member.name.as_str(), *member)).collect();
    members
        .iter()
        .flat_map(|from| from.dependencies.iter().map(move |dependency| (*from, dependency)))
        .filter(|(_, dependency)| dependency.kind == DependencyKind::Normal)
        .filter_map(|(from, dependency)| by_name.get(dependency.name.as_str()).map(|to| (from, *to)))
        .collect()
}

/// Everything that a package is built on, by name, over normal dependencies.
fn closure(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("metadata with dependencies resolves");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start =
        metadata.packages.iter().find(|package| package.name.as_str() == name).map(|package| &package.id);
    let (mut open, mut seen) = (Vec::from_iter(start), BTreeSet::new());
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let normal = |dependency: &&cargo_metadata::NodeDep| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            };
            open.extend(nodes[id].deps.iter().filter(normal).map(|dependency| &dependency.pkg));
        }
    }
    seen.iter().map(|id| metadata[*id].name.to_string()).collect()
}

/// Goal: a package is named by where it stands.
#[test]
fn a_package_is_named_by_its_folder() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().and_then(|folder| folder.file_name()).expect("a folder");
        assert_eq!(package.name.as_str(), format!("farhand-{folder}"));
    }
}

/// Goal: edge, cloud and drone meet in shared alone; nothing imports tests; only the theatre imports everything.
#[test]
fn edge_cloud_and_drone_never_import_each_other() {
    let metadata = metadata();
    for (from, to) in arrows(&metadata) {
        let (from_realm, to_realm) = (realm(&metadata, from), realm(&metadata, to));
        let allowed = match from_realm.as_str() {
            "shared" => to_realm == "shared",
            "edge" | "cloud" | "drone" => to_realm == "shared" || to_realm == from_realm,
            "sim" => to_realm != "tests",
            _ => true,
        };
        assert!(allowed, "{} must not import {}", from.name, to.name);
        assert_ne!(to.name.as_str(), "farhand-tests", "nothing imports tests");
    }
}

/// Goal: the pure crates are built on nothing that has a clock, a socket, a thread or a file.
#[test]
fn pure_crates_stay_pure() {
    let metadata = metadata();
    for name in PURE {
        let built_on = closure(&metadata, name);
        for impure in IMPURE {
            assert!(!built_on.contains(impure), "{name} is built on {impure}");
        }
        let package =
            metadata.packages.iter().find(|package| package.name.as_str() == name).expect("a pure crate");
        for dependency in package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal) {
            assert!(!IMPURE_ASKED.contains(&dependency.name.as_str()), "{name} asks for {}", dependency.name);
        }
    }
}

/// Goal: ledger, vision and cloud are never on the way from command to actuator.
#[test]
fn the_guard_knows_no_cloud_no_vision_and_no_transport() {
    let built_on = closure(&metadata(), "farhand-guard");
    let members: Vec<_> = built_on.iter().filter(|name| name.starts_with("farhand-")).collect();
    assert_eq!(members, ["farhand-guard", "farhand-ledger", "farhand-wire"]);
}

/// Goal: the ROS world has no way into the kit: what speaks its language is another process, over a one-way cable.
#[test]
fn the_kit_knows_neither_zenoh_nor_ros() {
    let built_on = closure(&metadata(), "farhand-kit");
    for foreign in ["zenoh", "farhand-mesh", "farhand-crtk", "cdr-encoding"] {
        assert!(!built_on.contains(foreign), "farhand-kit is built on {foreign}");
    }
}

/// Goal: a regulator can read and build all that the verifier needs.
#[test]
fn the_evidence_needs_no_heavy_machinery() {
    let metadata = metadata();
    for name in ["farhand-ledger", "farhand-audit"] {
        let built_on = closure(&metadata, name);
        assert!(built_on.contains("farhand-ledger"), "{name} is there");
        for heavy in NOT_FOR_AUDIT {
            assert!(!built_on.contains(heavy), "{name} is built on {heavy}");
        }
    }
}
