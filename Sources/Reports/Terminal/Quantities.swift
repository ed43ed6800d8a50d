/// Sizes, times and numbers as people read them. Nothing depends on the locale.
public enum Quantities {
    /// `640 B`, `14.2 KiB`, `3.0 GiB`.
    public static func bytes(_ count: Int) -> String {
        guard count >= 1024 else { return "\(count) B" }
        var value = Double(count)
        var unit = 0
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB"]
        value /= 1024
        while value >= 1023.95, unit + 1 < units.count {
            value /= 1024
            unit += 1
        }
        return "\(fixed(value, 1)) \(units[unit])"
    }

    /// `812`, `73.7 K`, `6.1 M`, `1.2 G`: decimal multiples, for parameters and samples.
    public static func count(_ value: Int) -> String {
        let magnitude = value.magnitude
        if magnitude < 10_000 { return "\(value)" }
        if magnitude < 999_950 { return "\(fixed(Double(value) / 1e3, 1)) K" }
        if magnitude < 999_950_000 { return "\(fixed(Double(value) / 1e6, 1)) M" }
        return "\(fixed(Double(value) / 1e9, 1)) G"
    }

    /// `just now`, `5 minutes ago`, `3 days ago`, `2 years ago`.
    ///
    /// - Parameter seconds: how long ago; negative values (clocks that differ) count as now.
    public static func ago(seconds: Double) -> String {
        let steps: [(Double, String)] = [
            (365.25 * 86_400, "year"), (30.44 * 86_400, "month"), (7 * 86_400, "week"), (86_400, "day"),
            (3_600, "hour"), (60, "minute"),
        ]
        for (length, unit) in steps where seconds >= length {
            let number = Int(seconds / length)
            return "\(number) \(unit)\(number == 1 ? "" : "s") ago"
        }
        return "just now"
    }

    /// A span: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`.
    public static func duration(seconds: Double) -> String {
        if seconds < 9.95 { return "\(fixed(max(0, seconds), 1)) s" }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        if whole < 3_600 { return "\(whole / 60) min \(padded(whole % 60)) s" }
        return "\(whole / 3_600) h \(padded(whole % 3_600 / 60)) min"
    }

    /// A number with a fixed count of decimals, `.` as separator, rounded half away from zero; `–` for NaN.
    public static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "–" : value < 0 ? "-∞" : "∞" }
        var power = 1.0
        for _ in 0..<decimals { power *= 10 }
        let scaled = (value.magnitude * power).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let digits = Int(scaled)
        let sign = value < 0 && digits != 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(digits)" }
        let unit = Int(power)
        let fraction = String(digits % unit)
        return "\(sign)\(digits / unit)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    /// About `figures` significant digits: `0.0123`, `4.56`, `1.2e-07`.
    public static func significant(_ value: Double, _ figures: Int = 3) -> String {
        guard value.isFinite, value != 0 else { return fixed(value, 0) }
        var exponent = 0
        var mantissa = value.magnitude
        while mantissa >= 10 {
            mantissa /= 10
            exponent += 1
        }
        while mantissa < 1 {
            mantissa *= 10
            exponent -= 1
        }
        if exponent < -4 || exponent > 5 {
            let sign = exponent < 0 ? "-" : "+"
            return "\(value < 0 ? "-" : "")\(fixed(mantissa, figures - 1))e\(sign)\(padded(Int(exponent.magnitude)))"
        }
        return fixed(value, max(0, figures - 1 - exponent))
    }

    private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
