/// The 8-bit number types of weight files, each as a table of its 256 values.
public enum ByteFloat {
    /// Value of every bit pattern, or nil when `dtype` is no 8-bit number type.
    ///
    /// Layouts (sign, exponent, mantissa bits): F8_E4M3 1-4-3, bias 7, no infinity, NaN 0x7F and 0xFF; F8_E5M2 1-5-2,
    /// bias 15, with infinity and NaN as in IEEE 754; the FNUZ forms have bias 8 and 16, one zero, and NaN 0x80;
    /// F8_E8M0 is 2^(x−127) with NaN 0xFF.
    public static func values(of dtype: DType) -> [Float]? {
        switch dtype {
        case .f8e4m3: e4m3
        case .f8e5m2: e5m2
        case .f8e4m3fnuz: e4m3fnuz
        case .f8e5m2fnuz: e5m2fnuz
        case .f8e8m0: e8m0
        default: nil
        }
    }

    private static let e4m3 = table { bits in
        bits & 0x7F == 0x7F ? .nan : value(bits, mantissaBits: 3, bias: 7)
    }
    private static let e5m2 = table { bits in
        switch bits & 0x7F {
        case 0x7C: bits < 0x80 ? .infinity : -.infinity
        case 0x7D...0x7F: .nan
        default: value(bits, mantissaBits: 2, bias: 15)
        }
    }
    private static let e4m3fnuz = table { bits in
        bits == 0x80 ? .nan : value(bits, mantissaBits: 3, bias: 8)
    }
    private static let e5m2fnuz = table { bits in
        bits == 0x80 ? .nan : value(bits, mantissaBits: 2, bias: 16)
    }
    private static let e8m0 = table { bits in
        bits == 0xFF ? .nan : Float(sign: .plus, exponent: bits - 127, significand: 1)
    }

    private static func table(_ value: (Int) -> Float) -> [Float] { (0..<256).map(value) }

    private static func value(_ bits: Int, mantissaBits: Int, bias: Int) -> Float {
        let mantissa = bits & ((1 << mantissaBits) - 1)
        let exponent = (bits & 0x7F) >> mantissaBits
        let sign: FloatingPointSign = bits < 0x80 ? .plus : .minus
        // A subnormal has the exponent of 1 and no leading one.
        let significand = Float(exponent == 0 ? mantissa : mantissa + (1 << mantissaBits))
        return Float(sign: sign, exponent: max(exponent, 1) - bias - mantissaBits, significand: significand)
    }
}
