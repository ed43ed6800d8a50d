import Foundation

/// One axis: data range, ticks, and where a value lies on the paper.
struct Axis: Sendable {
    let low: Double
    let high: Double
    let ticks: [Double]
    let isLogarithmic: Bool
    /// Where `low` and `high` lie.
    let start: Double
    let end: Double

    /// A range that holds all values, widened to round ticks.
    ///
    /// - Parameters:
    ///   - fixed: the range to use instead of that of the values.
    ///   - whole: ticks at whole numbers only.
    init(
        _ values: [Double], start: Double, end: Double, fixed: ClosedRange<Double>? = nil, logarithmic: Bool = false,
        whole: Bool = false
    ) {
        let usable = values.filter { $0.isFinite && (!logarithmic || $0 > 0) }
        let lowest = fixed?.lowerBound ?? usable.min() ?? 0
        let highest = fixed?.upperBound ?? usable.max() ?? 1
        isLogarithmic = logarithmic
        self.start = start
        self.end = end
        if logarithmic {
            let first = floor(log10(lowest))
            let last = max(first + 1, ceil(log10(highest)))
            let step = max(1, ((last - first) / 6).rounded(.up))
            low = pow(10, first)
            high = pow(10, last)
            ticks = stride(from: first, through: last, by: step).map { pow(10, $0) }
        } else {
            let span = highest > lowest ? highest - lowest : max(abs(highest), 1)
            var step = Axis.niceStep(span / 5)
            if whole { step = max(1, step.rounded()) }
            let bottom = fixed == nil && !whole ? floor(lowest / step + 1e-9) * step : lowest
            let top =
                fixed == nil && !whole
                ? ceil((highest > lowest ? highest : lowest + span) / step - 1e-9) * step : highest
            low = bottom
            high = top > bottom ? top : bottom + step
            let first = Int(ceil(low / step - 1e-9))
            let last = Int(floor(high / step + 1e-9))
            ticks = first <= last ? (first...last).map { Double($0) * step } : [low]
        }
    }

    /// 1, 2, 2.5 or 5 times a power of ten, at least `raw`.
    static func niceStep(_ raw: Double) -> Double {
        guard raw > 0, raw.isFinite else { return 1 }
        let unit = pow(10, floor(log10(raw)))
        for factor in [1, 2, 2.5, 5] where factor * unit >= raw * (1 - 1e-9) { return factor * unit }
        return 10 * unit
    }

    func position(_ value: Double) -> Double {
        let share =
            isLogarithmic
            ? (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low)) : (value - low) / (high - low)
        return start + min(1, max(0, share)) * (end - start)
    }

    func label(_ tick: Double) -> String {
        if tick == 0 { return "0" }
        if isLogarithmic || abs(tick) >= 1e5 || abs(tick) < 1e-3 { return Quantities.significant(tick, 2) }
        let step = ticks.count > 1 ? abs(ticks[1] - ticks[0]) : 1
        let decimals = step >= 1 ? 0 : min(4, Int(ceil(-log10(step) - 1e-9)))
        let needed = abs(step * pow(10, Double(decimals)) - (step * pow(10, Double(decimals))).rounded()) > 1e-6
        return Quantities.fixed(tick, needed ? decimals + 1 : decimals)
    }
}

/// The frame of a chart with two number axes or one: grid, tick labels, titles.
enum ChartFrame {
    static func vertical(_ axis: Axis, left: Double, right: Double, title: String) -> String {
        var text = ""
        for tick in axis.ticks {
            let y = axis.position(tick)
            text += SVGText.line(left, y, right, y, opacity: 0.15)
            text += SVGText.label(axis.label(tick), left - 7, y + 4, anchor: "end", size: 11)
        }
        text += SVGText.vertical(title, 12, (axis.start + axis.end) / 2)
        return text
    }

    static func horizontal(_ axis: Axis, bottom: Double, title: String) -> String {
        var text = SVGText.line(axis.start, bottom, axis.end, bottom, opacity: 0.5)
        for tick in axis.ticks {
            let x = axis.position(tick)
            text += SVGText.line(x, bottom, x, bottom + 4, opacity: 0.5)
            text += SVGText.label(axis.label(tick), x, bottom + 17, anchor: "middle", size: 11)
        }
        return text + SVGText.label(title, (axis.start + axis.end) / 2, bottom + 34, anchor: "middle")
    }
}
