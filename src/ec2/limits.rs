//! EC2's bounds that the calls here keep to, with their source. One place, so that none hides in a call.

/// Page size of a list: the most that `DescribeInstances` and `DescribeVolumes` take (EC2 API reference, MaxResults).
pub const PAGE: i32 = 1_000;

/// Ids in one by-id describe or one changing call: EC2 advises at most 1,000 a call (`TerminateInstances`,
/// `CreateTags`: "up to 1,000 resources").
pub const IDS: usize = 1_000;

/// Ids in one `DescribeInstanceStatus` (EC2 API reference: at most 100).
pub const STATUS_IDS: usize = 100;

/// Types in one `DescribeInstanceTypes` (EC2 API reference: at most 100).
pub const TYPES: usize = 100;

/// Values of one filter (EC2 API reference: at most 200).
pub const FILTER_VALUES: usize = 200;

/// Pages of one list before it is called endless: two million instances in one account and region are more than any
/// quota allows.
pub const PAGES: usize = 2_000;

/// Empty pages in a row before a list is called endless. EC2 may answer with a token and no items where a filter left
/// nothing of a page, so a few prove nothing; a hundred are a hundred thousand things left out, and cost no more calls
/// than the bucket for reads holds.
pub const EMPTY_PAGES: usize = 100;

/// `--deep` asks so many machines at once; the rate budget decides how fast.
pub const DEEP_AT_ONCE: usize = 8;
