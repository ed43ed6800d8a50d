/// How far values lie from the middle of their group, measured so that a few wild ones do not hide themselves.
enum RobustScore {
    /// z = 0.6745 · (x − median) / MAD for every value.
    ///
    /// MAD, the median of |x − median|, is taken as at least `floor`: where most values agree almost exactly, small
    /// differences are no outliers.
    /// Source: `docs/formats.md` and the inspection rules; 0.6745 makes z a standard deviation for normal values.
    static func scores(_ values: [Double], floor: Double) -> [Double] {
        let middle = median(values)
        let spread = max(median(values.map { abs($0 - middle) }), floor)
        return values.map { 0.6745 * ($0 - middle) / spread }
    }

    /// The middle value, or the mean of the two middle ones; 0 for no values.
    static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        let half = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
    }
}
