//! What rays meet: the triangles of tissue, instruments and targets.

use std::time::Duration;

use glam::Vec3A;
use nalgebra::{Isometry3, Point3, Similarity3, Vector3};
use obvhs::BvhBuildParams;
use obvhs::bvh2::{Bvh2, builder::build_bvh2_from_tris};
use obvhs::ray::{Ray, RayHit};
use obvhs::triangle::Triangle;

use super::tissue::Skin;
use super::vector;
use crate::class::Class;
use crate::conditions::{Conditions, Instrument};
use crate::ground;
use crate::instrument::Posture;
use crate::mesh::{Mesh, Vertex};
use crate::solids;
use crate::state::SceneState;

/// A ray that leaves a surface begins so far above it, in metres.
const CLEAR_M: f32 = 2e-5;

/// Everything, and the tree that finds it.
pub(super) struct Bodies {
    tree: Bvh2,
    /// In the order of the tree's leaves, as are `facets`.
    triangles: Vec<Triangle>,
    facets: Vec<Facet>,
    pub(super) skin: Skin,
}

/// What is known of a triangle besides its corners, each list in their order.
#[derive(Clone, Copy)]
struct Facet {
    normals: [Vec3A; 3],
    /// Where along the instrument.
    along_m: [f32; 3],
    matter: Matter,
}

/// What a triangle is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Matter {
    Tissue,
    /// The number of its [`Material`](crate::mesh::Material), and whose it is.
    Solid {
        material: u32,
        class: Class,
        of: Instrument,
    },
}

/// What a ray met.
pub(super) struct Hit {
    pub(super) place: Vec3A,
    /// Toward where the ray came from.
    pub(super) normal: Vec3A,
    /// Of an instrument's part: where along it.
    pub(super) along_m: f32,
    pub(super) matter: Matter,
}

impl Hit {
    /// Where rays begin that leave the surface.
    pub(super) fn above(&self) -> Vec3A {
        self.place + self.normal * CLEAR_M
    }
}

impl Bodies {
    pub(super) fn of(state: &SceneState, conditions: &Conditions, tissue_from_base: &Isometry3<f64>) -> Self {
        let skin = Skin::new(state.seed, conditions);
        let mut made = Made::default();
        made.tissue(&skin);
        for (tool, what) in state.tools.iter().zip(conditions.instruments) {
            for (part, pose) in Posture::of(tool, what).parts {
                made.solid(&part.mesh(), &(tissue_from_base * pose), 1.0, part.class(), what);
            }
        }
        for target in &state.targets {
            let pose = tissue_from_base * target.base_from_target;
            let mesh = solids::target(target.shape);
            made.solid(&mesh, &pose, target.radius_m, Class::Target, Instrument::default());
        }
        made.sorted(skin)
    }

    /// The nearest thing on the way from a place, from `from_m` on.
    pub(super) fn met(&self, place: Vec3A, way: Vec3A, from_m: f32) -> Option<Hit> {
        let ray = Ray::new(place, way, from_m, f32::INFINITY);
        let mut hit = RayHit::none();
        self.tree.ray_traverse(ray, &mut hit, |ray, at| self.triangles[at].intersect(ray));
        (hit.t < f32::INFINITY).then(|| self.hit(hit.primitive_id as usize, place + way * hit.t, way))
    }

    /// Whether nothing lies between a place on a surface and another.
    pub(super) fn open(&self, hit: &Hit, to: Vec3A) -> bool {
        let from = hit.above();
        let ray = Ray::new(from, (to - from).normalize(), 0.0, from.distance(to));
        self.tree.ray_traverse_miss(ray, |ray, at| self.triangles[at].intersect(ray))
    }

    pub(super) fn class(&self, hit: &Hit) -> Class {
        match hit.matter {
            Matter::Tissue => self.skin.class(hit.place),
            Matter::Solid { class, .. } => class,
        }
    }

    fn hit(&self, at: usize, place: Vec3A, way: Vec3A) -> Hit {
        let (triangle, facet) = (&self.triangles[at], &self.facets[at]);
        let shares = shares(triangle, place);
        let normal: Vec3A = facet.normals.iter().zip(shares).map(|(normal, share)| *normal * share).sum();
        let normal = normal.normalize_or(-way);
        Hit {
            place,
            normal: if normal.dot(way) > 0.0 { -normal } else { normal },
            along_m: facet.along_m.iter().zip(shares).map(|(along_m, share)| along_m * share).sum(),
            matter: facet.matter,
        }
    }
}

/// Triangles while they are gathered.
#[derive(Default)]
struct Made {
    triangles: Vec<Triangle>,
    facets: Vec<Facet>,
}

impl Made {
    fn tissue(&mut self, skin: &Skin) {
        let corners = ground::grid(skin.tissue(), &Isometry3::identity());
        for three in ground::grid_indices().as_chunks::<3>().0 {
            let [a, b, c] = three.map(|i| &corners[i as usize]);
            self.add(
                [a, b, c].map(|corner| corner.place_m.into()),
                Facet {
                    normals: [a, b, c].map(|corner| corner.normal.into()),
                    along_m: [0.0; 3],
                    matter: Matter::Tissue,
                },
            );
        }
    }

    fn solid(&mut self, mesh: &Mesh, pose: &Isometry3<f64>, scale: f64, class: Class, of: Instrument) {
        let placed = Similarity3::from_isometry(*pose, scale);
        let place = |v: &Vertex| vector(&(placed * Point3::from(v.position_m).cast::<f64>()).coords);
        let normal = |v: &Vertex| vector(&(pose * Vector3::from(v.normal).cast::<f64>()));
        for three in mesh.indices.as_chunks::<3>().0 {
            let [a, b, c] = three.map(|i| &mesh.vertices[i as usize]);
            self.add(
                [a, b, c].map(place),
                Facet {
                    normals: [a, b, c].map(normal),
                    along_m: [a, b, c].map(|v| v.position_m[2]),
                    matter: Matter::Solid { material: a.material, class, of },
                },
            );
        }
    }

    fn add(&mut self, [v0, v1, v2]: [Vec3A; 3], facet: Facet) {
        self.triangles.push(Triangle { v0, v1, v2 });
        self.facets.push(facet);
    }

    fn sorted(self, skin: Skin) -> Bodies {
        let tree =
            build_bvh2_from_tris(&self.triangles, BvhBuildParams::fast_build(), &mut Duration::default());
        let order = || tree.primitive_indices.iter().map(|at| *at as usize);
        let triangles = order().map(|at| self.triangles[at]).collect();
        let facets = order().map(|at| self.facets[at]).collect();
        Bodies { tree, triangles, facets, skin }
    }
}

/// How much each corner has to say at a place in the triangle.
fn shares(triangle: &Triangle, place: Vec3A) -> [f32; 3] {
    let (to_1, to_2) = (triangle.v1 - triangle.v0, triangle.v2 - triangle.v0);
    let across = to_1.cross(to_2);
    let over = across.length_squared().max(f32::MIN_POSITIVE);
    let from = place - triangle.v0;
    let (of_1, of_2) = (from.cross(to_2).dot(across) / over, to_1.cross(from).dot(across) / over);
    [1.0 - of_1 - of_2, of_1, of_2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a place in a triangle is its corners' in the shares that are given.
    #[test]
    fn shares_lead_back_to_the_place() {
        let [v0, v1, v2] = [Vec3A::new(0.1, 0.0, 0.3), Vec3A::new(0.4, 0.1, 0.2), Vec3A::new(0.2, 0.5, 0.0)];
        let triangle = Triangle { v0, v1, v2 };
        for wanted in [[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], [0.0, 0.9, 0.1]] {
            let place = v0 * wanted[0] + v1 * wanted[1] + v2 * wanted[2];
            let found = shares(&triangle, place);
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?}");
        }
    }
}
