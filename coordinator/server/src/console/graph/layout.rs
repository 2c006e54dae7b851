//! Where a graph's boxes and arrows go: layers from left to right, each step right of all that it waits for.
//!
//! Pure arithmetic in whole pixels. Invariants: boxes don't overlap, arrows only go right and pass through no box, everything is inside
//! `width` and `height`, and the same graph is always drawn the same.

use std::collections::BTreeMap;

/// Between two layers; arrows bend here.
const LAYER_GAP: u32 = 56;
/// Between two boxes of a layer.
const BOX_GAP: u32 = 20;
/// What an arrow takes that passes a layer.
const LANE: u32 = 12;
/// Around everything.
pub(super) const MARGIN: u32 = 8;
/// How often each layer is put in the order that its neighbours suggest, to and fro.
const SWEEPS: usize = 4;

/// One box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Placed {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// One arrow: where it begins, the layers that it passes straight, where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Bends lie between the pairs (0, 1), (2, 3) …; between (1, 2), (3, 4) … it goes straight.
    pub(super) points: Vec<(u32, u32)>,
}

/// A drawn graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Placed>,
    pub(super) arrows: Vec<Arrow>,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What takes up room in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Step(usize),
    /// An arrow, by its number, that passes this layer.
    Passing(usize, usize),
}

/// Places boxes of these sizes; `after`: which steps each waits for, without cycles.
pub(super) fn layout(sizes: &[(u32, u32)], after: &[Vec<usize>]) -> Layout {
    let layer = layers(after);
    let edges: Vec<(usize, usize)> =
        after.iter().enumerate().flat_map(|(to, from)| from.iter().map(move |from| (*from, to))).collect();
    let mut rows = rows(&layer, &edges);
    sort(&mut rows, &chains(&layer, &edges));
    place(sizes, &edges, &layer, &rows)
}

/// For each step how many stand one behind the other before it.
fn layers(after: &[Vec<usize>]) -> Vec<usize> {
    let mut layer = vec![0; after.len()];
    // Each round settles at least one more layer.
    for _ in 0..after.len() {
        let next: Vec<usize> =
            after.iter().map(|early| early.iter().map(|step| layer[*step] + 1).max().unwrap_or(0)).collect();
        if next == layer {
            break;
        }
        layer = next;
    }
    layer
}

/// What stands in each layer, in the order of the definition.
fn rows(layer: &[usize], edges: &[(usize, usize)]) -> Vec<Vec<Item>> {
    let mut rows = vec![Vec::new(); layer.iter().max().map_or(0, |last| last + 1)];
    for (step, layer) in layer.iter().enumerate() {
        rows[*layer].push(Item::Step(step));
    }
    for (edge, (from, to)) in edges.iter().enumerate() {
        for (between, row) in rows.iter_mut().enumerate().take(layer[*to]).skip(layer[*from] + 1) {
            row.push(Item::Passing(edge, between));
        }
    }
    rows
}

/// Each arrow as the items that it leads through, one layer after the other.
fn chains(layer: &[usize], edges: &[(usize, usize)]) -> Vec<Vec<Item>> {
    let chain = |(edge, (from, to)): (usize, &(usize, usize))| {
        let between = (layer[*from] + 1..layer[*to]).map(|layer| Item::Passing(edge, layer));
        [Item::Step(*from)].into_iter().chain(between).chain([Item::Step(*to)]).collect()
    };
    edges.iter().enumerate().map(chain).collect()
}

/// Puts each item near the middle of its neighbours, which keeps arrows from crossing.
fn sort(rows: &mut [Vec<Item>], chains: &[Vec<Item>]) {
    let (mut left, mut right) = (BTreeMap::<Item, Vec<Item>>::new(), BTreeMap::<Item, Vec<Item>>::new());
    for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
        left.entry(pair[1]).or_default().push(pair[0]);
        right.entry(pair[0]).or_default().push(pair[1]);
    }
    for sweep in 0..SWEEPS {
        for step in 1..rows.len() {
            let (row, beside, neighbours) = match sweep % 2 {
                0 => (step, step - 1, &left),
                _ => (rows.len() - 1 - step, rows.len() - step, &right),
            };
            let places: BTreeMap<Item, usize> =
                rows[beside].iter().enumerate().map(|(place, item)| (*item, place)).collect();
            let height = rows[beside].len();
            let wish = |(own, item): (usize, &Item), own_height: usize| {
                let of: Vec<usize> =
                    neighbours.get(item).into_iter().flatten().filter_map(|it| places.get(it).copied()).collect();
                // Middles, in thousandths of the layer's height; one without neighbours stays where it is.
                match of.len() {
                    0 => (2 * own + 1) * 500 / own_height,
                    count => of.iter().map(|place| (2 * place + 1) * 500 / height).sum::<usize>() / count,
                }
            };
            let own_height = rows[row].len();
            let mut wished: Vec<(usize, Item)> =
                rows[row].iter().enumerate().map(|it| (wish(it, own_height), *it.1)).collect();
            wished.sort_by_key(|(wish, _)| *wish);
            rows[row] = wished.into_iter().map(|(_, item)| item).collect();
        }
    }
}

fn place(sizes: &[(u32, u32)], edges: &[(usize, usize)], layer: &[usize], rows: &[Vec<Item>]) -> Layout {
    let tall = |item: &Item| match item {
        Item::Step(step) => sizes[*step].1,
        Item::Passing(..) => LANE,
    };
    let height_of = |row: &Vec<Item>| {
        row.iter().map(tall).sum::<u32>() + BOX_GAP * u32::try_from(row.len().saturating_sub(1)).unwrap_or(0)
    };
    let inner = rows.iter().map(height_of).max().unwrap_or(0);
    let mut boxes = vec![Placed::default(); sizes.len()];
    // Where each passing arrow crosses its layer: from x to x, at this height.
    let mut lanes: BTreeMap<Item, (u32, u32, u32)> = BTreeMap::new();
    let mut x = MARGIN;
    for row in rows {
        let steps = row.iter().filter_map(|item| match item {
            Item::Step(step) => Some(sizes[*step].0),
            Item::Passing(..) => None,
        });
        let width = steps.max().unwrap_or(0);
        let mut y = MARGIN + (inner - height_of(row)) / 2;
        for item in row {
            match item {
                Item::Step(step) => boxes[*step] = Placed { x, y, width, height: sizes[*step].1 },
                Item::Passing(..) => drop(lanes.insert(*item, (x, x + width, y + LANE / 2))),
            }
            y += tall(item) + BOX_GAP;
        }
        x += width + LAYER_GAP;
    }
    let arrows = edges.iter().enumerate().map(|(edge, (from, to))| {
        let (begin, end) = (boxes[*from], boxes[*to]);
        let mut points = vec![(begin.x + begin.width, begin.y + begin.height / 2)];
        for between in layer[*from] + 1..layer[*to] {
            if let Some((left, right, y)) = lanes.get(&Item::Passing(edge, between)) {
                points.extend([(*left, *y), (*right, *y)]);
            }
        }
        points.push((end.x, end.y + end.height / 2));
        Arrow { from: *from, to: *to, points }
    });
    let (arrows, width) = (arrows.collect(), x.saturating_sub(LAYER_GAP) + MARGIN);
    Layout { boxes, arrows, width, height: inner + 2 * MARGIN }
}
