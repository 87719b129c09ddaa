"""The kinds of content that policy or an opener cares about, as a table; the docs draw from it."""

from typing import Final

from msgspec import Struct


class Kind(Struct, frozen=True, kw_only=True):
    """One kind. ``extensions`` (no dot) and ``types`` (lower case) are those under which it is ordinary.

    ``group``: "program" runs when opened, "archive" holds files, "disk" is mounted, "document", "image", "media",
    "mail", "text" or "other".
    """

    id: str
    title: str
    group: str
    extensions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def _kind(name: str, group: str, title: str, extensions: str = "", types: str = "") -> Kind:
    return Kind(id=name, title=title, group=group, extensions=(*extensions.split(),), types=(*types.split(),))


KINDS: Final[dict[str, Kind]] = {
    kind.id: kind
    for kind in (
        _kind("empty", "other", "Nothing"),
        _kind("unknown", "other", "Bytes of no known kind"),
        _kind("pe", "program", "Windows or DOS program", "exe dll scr cpl sys ocx com drv efi", "application/x-msdownload"),
        _kind("elf", "program", "Unix program (ELF)", "so o elf", "application/x-executable"),
        _kind("macho", "program", "macOS program (Mach-O)", "dylib bundle", "application/x-mach-binary"),
        _kind("java-class", "program", "Java class", "class", "application/java-vm"),
        _kind("dex", "program", "Android program code", "dex"),
        _kind("lnk", "program", "Windows shortcut", "lnk", "application/x-ms-shortcut"),
        _kind("url", "program", "Internet shortcut", "url website"),
        _kind("script", "program", "Script", "js jse vbs vbe wsf wsh ps1 bat cmd hta sh py pl php rb reg sct"),
        _kind("msi", "program", "Windows installer package", "msi msp mst", "application/x-msi"),
        _kind("chm", "program", "Compiled HTML help", "chm", "application/vnd.ms-htmlhelp"),
        _kind("hlp", "program", "Windows help", "hlp", "application/winhlp"),
        _kind("wasm", "program", "WebAssembly", "wasm", "application/wasm"),
        _kind("jar", "program", "Java archive", "jar war ear", "application/java-archive"),
        _kind("apk", "program", "Android package", "apk", "application/vnd.android.package-archive"),
        _kind("swf", "program", "Flash", "swf", "application/x-shockwave-flash"),
        _kind("zip", "archive", "Zip", "zip zipx xpi", "application/zip application/x-zip-compressed application/x-zip"),
        _kind("rar", "archive", "RAR", "rar", "application/x-rar-compressed application/vnd.rar application/x-rar"),
        _kind("7z", "archive", "7-Zip", "7z", "application/x-7z-compressed"),
        _kind("tar", "archive", "Tar", "tar", "application/x-tar application/x-gtar"),
        _kind("cpio", "archive", "Cpio", "cpio", "application/x-cpio"),
        _kind("ar", "archive", "Ar, Debian package", "a ar deb lib", "application/vnd.debian.binary-package"),
        _kind("cab", "archive", "Cabinet", "cab", "application/vnd.ms-cab-compressed"),
        _kind("arj", "archive", "ARJ", "arj", "application/x-arj"),
        _kind("lha", "archive", "LHA", "lha lzh", "application/x-lha application/x-lzh-compressed"),
        _kind("ace", "archive", "ACE", "ace", "application/x-ace-compressed"),
        _kind("zoo", "archive", "Zoo", "zoo", "application/x-zoo"),
        _kind("xar", "archive", "Xar, macOS package", "xar pkg", "application/x-xar"),
        _kind("rpm", "archive", "RPM package", "rpm", "application/x-rpm"),
        _kind("warc", "archive", "Web archive", "warc", "application/warc"),
        _kind("gz", "archive", "Gzip", "gz tgz svgz emz wmz", "application/gzip application/x-gzip application/x-compressed"),
        _kind("bz2", "archive", "Bzip2", "bz2 tbz tbz2", "application/x-bzip2 application/x-bzip"),
        _kind("xz", "archive", "Xz", "xz txz", "application/x-xz"),
        _kind("zlib", "archive", "Zlib", "zlib", "application/zlib"),
        _kind("lzma", "archive", "Lzma", "lzma tlz", "application/x-lzma"),
        _kind("lzip", "archive", "Lzip", "lz", "application/x-lzip"),
        _kind("zst", "archive", "Zstandard", "zst tzst", "application/zstd"),
        _kind("lz4", "archive", "LZ4", "lz4", "application/x-lz4"),
        _kind("compress", "archive", "Unix compress", "z taz", "application/x-compress"),
        _kind("szdd", "archive", "Microsoft compress", "ex_ dl_"),
        _kind("rare", "archive", "Archive of a rare form (lzop, StuffIt, ALZ, SquashFS and others)", "lzo sit sitx alz egg lrz zpaq"),
        _kind("wim", "disk", "Windows image", "wim swm esd", "application/x-ms-wim"),
        _kind("iso", "disk", "ISO 9660 disk image", "iso img", "application/x-iso9660-image application/x-cd-image"),
        _kind("udf", "disk", "UDF disk image", "iso udf img", "application/x-iso9660-image"),
        _kind("vhd", "disk", "Virtual disk", "vhd vhdx vmdk qcow2 vdi", "application/x-vhd"),
        _kind("dmg", "disk", "macOS disk image", "dmg", "application/x-apple-diskimage"),
        _kind("img", "disk", "Raw disk image", "img ima vfd dsk", "application/x-raw-disk-image"),
        _kind("ole", "document", "Old Office document or other OLE compound file",
              "doc dot xls xlt xla ppt pps pot pub vsd mpp wps msg db xlm",
              "application/msword application/vnd.ms-excel application/vnd.ms-powerpoint application/x-ole-storage"),
        _kind("msg", "mail", "Outlook message", "msg oft", "application/vnd.ms-outlook"),
        _kind("ooxml", "document", "Office Open XML document",
              "docx dotx docm dotm xlsx xlsm xltx xltm xlsb xlam pptx pptm potx potm ppsx ppsm ppam sldx vsdx vsdm thmx"),
        _kind("odf", "document", "OpenDocument, EPUB", "odt ott ods ots odp otp odg odf odb sxw sxc sxi epub"),
        _kind("activemime", "document", "Part of a Word web archive", "mso"),
        _kind("pdf", "document", "PDF", "pdf ai fdf", "application/pdf application/x-pdf"),
        _kind("rtf", "document", "Rich text", "rtf doc", "application/rtf text/rtf application/msword"),
        _kind("one", "document", "OneNote section", "one onepkg onetoc2", "application/onenote application/msonenote"),
        _kind("ps", "document", "PostScript", "ps eps ai", "application/postscript"),
        _kind("sylk", "document", "SYLK sheet", "slk", "text/spreadsheet"),
        _kind("html", "document", "HTML", "html htm xhtml shtml hta", "text/html application/xhtml+xml"),
        _kind("svg", "image", "SVG", "svg", "image/svg+xml"),
        _kind("xml", "text", "XML", "xml xsl xsd rss kml gpx", "text/xml application/xml"),
        _kind("mail", "mail", "Mail message, MHTML", "eml mht mhtml nws", "message/rfc822 message/global multipart/related"),
        _kind("mbox", "mail", "Mailbox", "mbox mbx", "application/mbox"),
        _kind("apple", "archive", "AppleSingle, AppleDouble", "", "application/applefile multipart/appledouble"),
        _kind("cms", "mail", "Opaque signature, compressed mail (CMS)", "p7m p7s p7c",
              "application/pkcs7-mime application/x-pkcs7-mime application/pkcs7-signature application/x-pkcs7-signature"),
        _kind("card", "text", "Calendar entry, address card", "ics vcf ifb vcard", "text/calendar text/vcard text/x-vcard"),
        _kind("tnef", "mail", "TNEF (winmail.dat)", "tnef", "application/ms-tnef application/vnd.ms-tnef"),
        _kind("png", "image", "PNG", "png apng", "image/png"),
        _kind("jpeg", "image", "JPEG", "jpg jpeg jpe jfif", "image/jpeg image/jpg image/pjpeg"),
        _kind("gif", "image", "GIF", "gif", "image/gif"),
        _kind("webp", "image", "WebP", "webp", "image/webp"),
        _kind("bmp", "image", "Bitmap", "bmp dib", "image/bmp image/x-ms-bmp"),
        _kind("tiff", "image", "TIFF", "tif tiff dng nef cr2", "image/tiff"),
        _kind("ico", "image", "Icon", "ico cur", "image/x-icon image/vnd.microsoft.icon"),
        _kind("heif", "image", "HEIF, AVIF", "heic heif avif", "image/heic image/heif image/avif"),
        _kind("emf", "image", "Windows metafile", "emf wmf", "image/emf image/wmf image/x-emf image/x-wmf"),
        _kind("psd", "image", "Photoshop", "psd", "image/vnd.adobe.photoshop"),
        _kind("mp3", "media", "MP3", "mp3", "audio/mpeg audio/mp3"),
        _kind("mp4", "media", "MP4, QuickTime", "mp4 m4a m4v mov 3gp", "video/mp4 audio/mp4 video/quicktime"),
        _kind("riff", "media", "WAV, AVI", "wav avi ani", "audio/wav audio/x-wav video/x-msvideo"),
        _kind("ogg", "media", "Ogg", "ogg oga ogv opus", "audio/ogg video/ogg"),
        _kind("flac", "media", "FLAC", "flac", "audio/flac"),
        _kind("matroska", "media", "Matroska, WebM", "mkv webm", "video/webm video/x-matroska"),
        _kind("asf", "media", "Windows media", "wmv wma asf", "video/x-ms-wmv audio/x-ms-wma"),
        _kind("font", "other", "Font", "ttf otf woff woff2 ttc", "font/ttf font/otf font/woff font/woff2"),
        _kind("sqlite", "other", "SQLite database", "db sqlite sqlite3", "application/vnd.sqlite3"),
        _kind("access", "document", "Access database", "mdb accdb", "application/msaccess"),
        _kind("pgp", "other", "OpenPGP, in text", "asc pgp gpg sig", "application/pgp-encrypted application/pgp-signature"),
        _kind("text", "text", "Text", "txt csv log md json yaml ini conf diff patch css", "text/plain"),
    )
}  # fmt: skip
