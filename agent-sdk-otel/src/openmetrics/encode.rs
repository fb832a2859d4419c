//! Families as text.

use super::accept::Format;
use super::exemplars::{EXEMPLAR_BYTES, Exemplars, OfMetric, Slots};
use super::families::{Buckets, Family, Sample, Series, Type};
use super::names::escape;
use super::number::{Number, write_canonical, write_f64};

/// Writes a page.
pub(super) struct Encoder<'a> {
    pub(super) out: String,
    pub(super) format: Format,
    pub(super) exemplars: &'a Exemplars,
    /// How many bytes exemplars may take.
    pub(super) spare: usize,
}

impl Encoder<'_> {
    pub(super) fn page(mut self, families: &[Family]) -> String {
        for family in families {
            self.head(family);
            let exemplars = match self.format {
                Format::Classic => OfMetric::default(),
                Format::OpenMetrics => self.exemplars.of(&family.name),
            };
            for series in &family.series {
                let slots = exemplars.get(&series.labels);
                self.series(family, series, slots.map(|slots| &**slots));
            }
        }
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    fn head(&mut self, family: &Family) {
        let open_metrics = self.format == Format::OpenMetrics;
        let (suffix, kind) = match (family.kind, open_metrics) {
            // In the classic form the suffix belongs to the family's name.
            (kind @ Type::Counter, false) => (kind.suffix(), "counter"),
            (kind @ Type::Info, false) => (kind.suffix(), "gauge"),
            (Type::Counter, true) => ("", "counter"),
            (Type::Info, true) => ("", "info"),
            (Type::Gauge, _) => ("", "gauge"),
            (Type::Histogram, _) => ("", "histogram"),
        };
        if !family.help.is_empty() {
            self.words(&["# HELP ", &family.name, suffix, " "]);
            escape(&mut self.out, &family.help, open_metrics);
            self.out.push('\n');
        }
        self.words(&["# TYPE ", &family.name, suffix, " ", kind, "\n"]);
        if let Some(unit) = &family.unit
            && open_metrics
        {
            self.words(&["# UNIT ", &family.name, " ", unit, "\n"]);
        }
    }

    fn words(&mut self, words: &[&str]) {
        for word in words {
            self.out.push_str(word);
        }
    }

    fn series(&mut self, family: &Family, series: &Series, slots: Option<&Slots>) {
        match &series.value {
            Sample::Number(number) => {
                self.name(family, family.kind.suffix(), &series.labels);
                self.number(*number);
                self.end(slots.filter(|_| family.kind == Type::Counter), 0);
            }
            Sample::Histogram(buckets) => {
                self.buckets(family, series, buckets, slots);
                self.name(family, "_sum", &series.labels);
                self.number(buckets.sum);
                self.end(None, 0);
                self.name(family, "_count", &series.labels);
                self.number(buckets.count.into());
                self.end(None, 0);
            }
        }
    }

    fn buckets(
        &mut self,
        family: &Family,
        series: &Series,
        buckets: &Buckets,
        slots: Option<&Slots>,
    ) {
        let mut below = 0;
        for (index, (bound, count)) in buckets.bounds.iter().zip(&buckets.counts).enumerate() {
            below += count;
            self.bucket(family, &series.labels, *bound, below);
            self.end(slots, index);
        }
        self.bucket(family, &series.labels, f64::INFINITY, buckets.count);
        self.end(slots, buckets.bounds.len());
    }

    fn bucket(&mut self, family: &Family, labels: &str, bound: f64, count: u64) {
        self.words(&[&family.name, "_bucket{", labels]);
        self.out
            .push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
        match self.format {
            Format::Classic => write_f64(&mut self.out, bound),
            Format::OpenMetrics => write_canonical(&mut self.out, bound),
        }
        self.out.push_str("\"} ");
        self.number(count.into());
    }

    fn name(&mut self, family: &Family, suffix: &str, labels: &str) {
        self.words(&[&family.name, suffix]);
        if !labels.is_empty() {
            self.words(&["{", labels, "}"]);
        }
        self.out.push(' ');
    }

    fn number(&mut self, number: Number) {
        number.write(&mut self.out);
    }

    fn end(&mut self, slots: Option<&Slots>, slot: usize) {
        if let Some(exemplar) = slots.and_then(|slots| slots.get(slot))
            && let Some(spare) = self.spare.checked_sub(EXEMPLAR_BYTES)
        {
            self.spare = spare;
            exemplar.write(&mut self.out);
        }
        self.out.push('\n');
    }
}
