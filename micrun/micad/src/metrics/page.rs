//! Metric families, written one after the other.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// What a family is called, in which unit it is, and what it means. The suffixes `_total` and `_info` come by themselves.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) help: &'static str,
}

/// Where families are written.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    /// Numbers that only grow.
    pub(super) fn counters<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut encoder =
            self.0.encode_descriptor(family.name, family.help, family.unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in samples {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, V, u64>(&value, None)?;
        }
        Ok(())
    }

    /// Numbers of now.
    pub(super) fn gauges<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut encoder =
            self.0.encode_descriptor(family.name, family.help, family.unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in samples {
            encoder.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A number of now that has no label.
    pub(super) fn gauge(&mut self, family: &Family, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(family, [(NONE, value)])
    }

    /// A number that only grows and has no label.
    pub(super) fn counter(&mut self, family: &Family, value: impl EncodeCounterValue) -> fmt::Result {
        self.counters(family, [(NONE, value)])
    }

    /// Times: their sum, and how many are in each bucket.
    pub(super) fn histograms<L: EncodeLabelSet>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = (L, (f64, Vec<(f64, u64)>))>,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(
            family.name,
            family.help,
            family.unit.as_ref(),
            MetricType::Histogram,
        )?;
        for (labels, (sum, buckets)) in samples {
            let count = buckets.iter().map(|(_, count)| count).sum();
            encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    /// Texts that stay the same.
    pub(super) fn info(&mut self, family: &Family, labels: &impl EncodeLabelSet) -> fmt::Result {
        let mut encoder =
            self.0.encode_descriptor(family.name, family.help, family.unit.as_ref(), MetricType::Info)?;
        encoder.encode_info(labels)
    }
}

const NONE: [(&str, &str); 0] = [];
