import CPNG
import CTurboJPEG
import Diagnostics
import Tensors

/// Decodes PNG (libpng) and JPEG (libjpeg-turbo) files to bytes.
public enum ImageFile {
    /// Largest width or height, and largest number of pixels, that is decoded.
    static let maximumSide = 16_384
    static let maximumPixels = 64 << 20

    /// The image as [channels, height, width]; one channel when `grayscale`, else three (RGB). Alpha is dropped over
    /// black.
    ///
    /// - Throws: `data.malformed` for damaged files, `data.unsupported` for other formats, `io.too_large`.
    public static func read(_ path: String, grayscale: Bool) throws -> ImageSet {
        try MappedFile(path: path, followLinks: false).withBytes { bytes in
            if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) { return try png(bytes, path, grayscale: grayscale) }
            if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return try jpeg(bytes, path, grayscale: grayscale) }
            throw Failure(.dataUnsupported, "neither PNG nor JPEG", path: path)
        }
    }

    /// True when the file's header says that all pixels are grey.
    public static func isGrayscale(_ path: String) throws -> Bool {
        try MappedFile(path: path, followLinks: false).withBytes { bytes in
            if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]), bytes.count > 25 {
                return bytes[25] == 0 || bytes[25] == 4
            }
            return try jpegHeader(bytes, path).subsampling == TJSAMP_GRAY.rawValue
        }
    }

    private static func checkSize(width: Int, height: Int, path: String) throws {
        guard width > 0, height > 0 else { throw Failure(.dataMalformed, "the image has no pixels", path: path) }
        guard width <= maximumSide, height <= maximumSide, width * height <= maximumPixels
        else {
            throw Failure(
                .ioTooLarge,
                "\(width)×\(height) pixels are above the limit of \(maximumSide) a side and \(maximumPixels) in all",
                path: path)
        }
    }

    private static func png(_ bytes: UnsafeRawBufferPointer, _ path: String, grayscale: Bool) throws -> ImageSet {
        var image = png_image()
        image.version = png_uint_32(PNG_IMAGE_VERSION)
        defer { png_image_free(&image) }
        guard png_image_begin_read_from_memory(&image, bytes.baseAddress, bytes.count) != 0 else {
            throw Failure(.dataMalformed, "damaged PNG: \(message(of: image))", path: path)
        }
        let width = Int(image.width)
        let height = Int(image.height)
        try checkSize(width: width, height: height, path: path)
        let channels = grayscale ? 1 : 3
        image.format = grayscale ? 0 : png_uint_32(PNG_FORMAT_FLAG_COLOR)
        var interleaved = [UInt8](repeating: 0, count: width * height * channels)
        var background = png_color(red: 0, green: 0, blue: 0)
        guard png_image_finish_read(&image, &background, &interleaved, png_int_32(width * channels), nil) != 0 else {
            throw Failure(.dataMalformed, "damaged PNG: \(message(of: image))", path: path)
        }
        return planar(interleaved, channels: channels, height: height, width: width)
    }

    private static func message(of image: png_image) -> String {
        withUnsafeBytes(of: image.message) { raw in String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self) }
    }

    private static func jpegHeader(_ bytes: UnsafeRawBufferPointer, _ path: String) throws -> (
        width: Int, height: Int, subsampling: UInt32
    ) {
        guard let decoder = tjInitDecompress() else {
            throw Failure(.ioFailed, "cannot start the JPEG decoder", path: path)
        }
        defer { tjDestroy(decoder) }
        var width: Int32 = 0
        var height: Int32 = 0
        var subsampling: Int32 = 0
        var colours: Int32 = 0
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard tjDecompressHeader3(decoder, start, UInt(bytes.count), &width, &height, &subsampling, &colours) == 0
        else {
            throw Failure(.dataMalformed, "damaged JPEG: \(String(cString: tjGetErrorStr2(decoder)))", path: path)
        }
        return (Int(width), Int(height), UInt32(bitPattern: subsampling))
    }

    private static func jpeg(_ bytes: UnsafeRawBufferPointer, _ path: String, grayscale: Bool) throws -> ImageSet {
        let header = try jpegHeader(bytes, path)
        try checkSize(width: header.width, height: header.height, path: path)
        guard let decoder = tjInitDecompress() else {
            throw Failure(.ioFailed, "cannot start the JPEG decoder", path: path)
        }
        defer { tjDestroy(decoder) }
        let channels = grayscale ? 1 : 3
        var interleaved = [UInt8](repeating: 0, count: header.width * header.height * channels)
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let format = Int32((grayscale ? TJPF_GRAY : TJPF_RGB).rawValue)
        guard
            tjDecompress2(
                decoder, start, UInt(bytes.count), &interleaved, Int32(header.width), 0, Int32(header.height),
                format, TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING) == 0
        else {
            throw Failure(.dataMalformed, "damaged JPEG: \(String(cString: tjGetErrorStr2(decoder)))", path: path)
        }
        return planar(interleaved, channels: channels, height: header.height, width: header.width)
    }

    /// [height, width, channels] → [channels, height, width].
    static func planar(_ interleaved: [UInt8], channels: Int, height: Int, width: Int) -> ImageSet {
        let shape = ImageShape(channels: channels, height: height, width: width)
        guard channels > 1 else { return ImageSet(shape: shape, pixels: interleaved) }
        let area = height * width
        var pixels = [UInt8](repeating: 0, count: interleaved.count)
        for channel in 0..<channels {
            for position in 0..<area { pixels[channel * area + position] = interleaved[position * channels + channel] }
        }
        return ImageSet(shape: shape, pixels: pixels)
    }
}
