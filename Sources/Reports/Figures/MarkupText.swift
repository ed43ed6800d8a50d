import Diagnostics

/// Text for HTML and SVG.
public enum MarkupText {
    /// Escapes `& < > " '` and shows control characters as `\u{1B}`.
    public static func escaped(_ text: String) -> String {
        var result = ""
        for character in ForeignText.escaped(text).unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }

    /// JSON that stands inside a `<script>` element: `<` cannot end the element early.
    public static func scriptData(_ json: String) -> String {
        var result = ""
        for scalar in json.unicodeScalars {
            if scalar == "<" || scalar.value == 0x2028 || scalar.value == 0x2029 {
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
