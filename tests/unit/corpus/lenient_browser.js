// As much of a browser as the corpus' pages use. The Python side gives `page` (the elements of the page, in order) and
// `inflated` (answers to what a run before this one asked for), and takes __saved, __asked, __written and __later.
var __saved = [], __asked = [], __written = [], __later = [];
var window = globalThis, self = globalThis, top = globalThis, parent = globalThis;
{
  const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const files = new Map();

  // HTML, forgiving-base64 decode: blanks are nothing, what is no letter is an error.
  globalThis.atob = text => {
    let letters = String(text).replace(/[\t\n\f\r ]/g, '');
    if (letters.length % 4 === 0) letters = letters.replace(/==?$/, '');
    if (letters.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(letters)) throw new Error('InvalidCharacterError');
    let out = '', held = 0, bits = 0;
    for (const letter of letters) {
      held = (held << 6 | LETTERS.indexOf(letter)) & 0xfff;
      bits += 6;
      if (bits >= 8) out += String.fromCharCode(held >> (bits -= 8) & 255);
    }
    return out;
  };
  globalThis.btoa = text => {
    let out = '';
    for (let at = 0; at < text.length; at += 3) {
      const some = [0, 1, 2].map(more => text.charCodeAt(at + more));
      if (some.some(code => code > 255)) throw new Error('InvalidCharacterError');
      const word = some[0] << 16 | some[1] << 8 | some[2];
      out += LETTERS[word >> 18] + LETTERS[word >> 12 & 63]
        + (at + 1 < text.length ? LETTERS[word >> 6 & 63] : '=') + (at + 2 < text.length ? LETTERS[word & 63] : '=');
    }
    return out;
  };

  const octets = text => Uint8Array.from(text, one => one.charCodeAt(0));
  const binary = bytes => Array.from(bytes, byte => String.fromCharCode(byte)).join('');
  const utf8 = text => octets(unescape(encodeURIComponent(String(text).toWellFormed())));
  const bytesOf = part => part instanceof Blob ? part._bytes : part instanceof ArrayBuffer ? new Uint8Array(part)
    : ArrayBuffer.isView(part) ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength) : utf8(part);

  globalThis.TextEncoder = class TextEncoder { encode(text) { return utf8(text); } };
  globalThis.TextDecoder = class TextDecoder {
    constructor(name = 'utf-8') { this.encoding = name.toLowerCase(); }
    decode(bytes) {
      const text = binary(bytesOf(bytes));
      return /^utf-?8$/.test(this.encoding) ? decodeURIComponent(escape(text)) : text;
    }
  };
  globalThis.Blob = class Blob {
    constructor(parts = [], options = {}) {
      this._bytes = Uint8Array.from([...parts].flatMap(part => [...bytesOf(part)]));
      this.size = this._bytes.length;
      this.type = options.type || '';
    }
    async arrayBuffer() { return this._bytes.buffer; }
    async text() { return new TextDecoder().decode(this._bytes); }
  };
  globalThis.File = class File extends Blob {
    constructor(parts, name, options) { super(parts, options); this.name = name; }
  };
  globalThis.URL = class URL {
    static createObjectURL(blob) {
      const address = `blob:null/${files.size}`;
      files.set(address, blob._bytes);
      return address;
    }
    static revokeObjectURL() {}
  };

  // What stands behind an address: a file of this page, or a data: address (RFC 2397).
  const content = address => {
    if (files.has(address)) return files.get(address);
    const found = /^data:([^,]*),([^]*)$/i.exec(address);
    if (!found) return null;
    const text = unescape(found[2].replace(/#[^]*$/, ''));
    return octets(/;\s*base64$/i.test(found[1]) ? atob(text) : text);
  };
  const save = bytes => { if (bytes) __saved.push(binary(bytes)); };
  globalThis.fetch = async address => new Blob([content(address)]);
  globalThis.open = address => save(content(String(address)));
  globalThis.location = {
    set href(address) { globalThis.open(address); },
    assign: globalThis.open, replace: globalThis.open, toString: () => 'about:blank',
  };
  globalThis.navigator = { msSaveBlob: blob => save(blob._bytes), msSaveOrOpenBlob: blob => save(blob._bytes) };
  globalThis.setTimeout = (code, _, ...given) => __later.push(typeof code === 'function' ? () => code(...given) : code);

  // Inflating is asked of the Python side, which answers by running the page again.
  const inflate = given => {
    const asked = btoa(typeof given === 'string' ? given : binary(bytesOf(given)));
    if (asked in inflated) return octets(atob(inflated[asked]));
    __asked.push(asked);
    throw new Error('the answer comes with the next run');
  };
  globalThis.pako = { inflate, inflateRaw: inflate, ungzip: inflate };

  const camel = name => name.replace(/-([a-z])/g, (_, letter) => letter.toUpperCase());
  globalThis.HTMLElement = class HTMLElement {
    constructor(tag, attributes = {}, text = '', html = '') {
      Object.assign(this, { tagName: tag.toUpperCase(), _attributes: attributes, textContent: text, innerHTML: html });
      this.innerText = text;
      this.children = [];
      this.style = {};
      const data = Object.entries(attributes).filter(([name]) => name.startsWith('data-'));
      this.dataset = Object.fromEntries(data.map(([name, value]) => [camel(name.slice(5)), value]));
    }
    getAttribute(name) { return this._attributes[name] ?? null; }
    setAttribute(name, value) { this._attributes[name] = String(value); }
    appendChild(child) {
      this.children.push(child);
      if (child.tagName === 'SCRIPT') __later.push(child.text || child.textContent || child.innerHTML);
      return child;
    }
    append(...children) { children.forEach(child => this.appendChild(child)); }
    removeChild(child) { return child; }
    remove() {}
    click() {}
    dispatchEvent() { this.click(); }
  };
  for (const [property, name] of Object.entries(
    { id: 'id', className: 'class', href: 'href', src: 'src', value: 'value', content: 'content', download: 'download' }))
    Object.defineProperty(HTMLElement.prototype, property, {
      get() { return this._attributes[name] ?? ''; }, set(value) { this._attributes[name] = String(value); },
    });
  globalThis.HTMLAnchorElement = class HTMLAnchorElement extends HTMLElement {
    click() { save(content(this.href)); }
  };

  const element = one => new (one.tag === 'a' ? HTMLAnchorElement : HTMLElement)(one.tag, one.attributes, one.text, one.html);
  const elements = page.map(element);
  // A name, #id, .class or [attribute] each, alone or together; no more is used.
  const matching = selector => elements.filter(one => (selector.match(/[#.]?[\w-]+|\[[^\]]+\]|\*/g) || []).every(part =>
    part === '*' || (part[0] === '#' ? one.id === part.slice(1)
      : part[0] === '.' ? one.className.split(/\s+/).includes(part.slice(1))
        : part[0] === '[' ? part.slice(1, -1) in one._attributes : one.tagName === part.toUpperCase())));
  const first = tag => matching(tag)[0] || new HTMLElement(tag);
  globalThis.document = {
    body: first('body'), head: first('head'), documentElement: first('html'),
    createElement: tag => element({ tag: String(tag).toLowerCase(), attributes: {}, text: '', html: '' }),
    getElementById: id => elements.find(one => one.id === id) || null,
    getElementsByTagName: matching, getElementsByClassName: name => matching('.' + name),
    querySelectorAll: matching, querySelector: selector => matching(selector)[0] || null,
    write: (...texts) => { __written.push(texts.join('')); }, addEventListener: (_, call) => __later.push(call),
  };
  globalThis.addEventListener = document.addEventListener;
  // HTML 7.3.3: an element is the value of the global name that is its id.
  for (const one of elements) if (one.id && !(one.id in globalThis)) globalThis[one.id] = one;
}
