#include "apps/kiln/top_screen.h"

#include <locale.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "apps/kiln/known_terminal.h"
#include "apps/kiln/terminal.h"
#include "apps/kiln/top_picture.h"
#include "apps/kiln/top_watch.h"

// It makes macros of common words: last, and without them where it lets one.
#define NCURSES_NOMACROS
#include <curses.h>

namespace kiln {
namespace {

constexpr int kKeyPatienceMs = 200;  // then the facts are looked at, and whether it is to end
constexpr int kEscapeMs = 25;        // a key's sequence has come by then: else it was Esc
constexpr std::size_t kPage = 10;

// Characters as the terminal takes them, by its environment. Names of locales come along with ssh to
// machines that do not have them; what the terminal speaks is the same.
void ChooseCharacters(bool unicode) {
  setlocale(LC_CTYPE, unicode ? "" : "C");
  if (unicode && MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
}

// The terminal while it is ours.
class Screen {
 public:
  // Null: it is none that a picture can be drawn on.
  static std::unique_ptr<Screen> Open(const OutputFace& face) {
    if (!TerminalIsKnown()) return nullptr;  // newterm() would leave memory behind
    SCREEN* screen = newterm(nullptr, stdout, stdin);
    return screen == nullptr ? nullptr : std::unique_ptr<Screen>(new Screen(screen, face));
  }
  ~Screen() {
    endwin();
    delscreen(screen_);
  }
  Screen(const Screen&) = delete;

  // Without the lines at the top and at the bottom.
  Canvas canvas() const {
    return {.columns = static_cast<std::size_t>(std::max(1, getmaxx(stdscr))),
            .rows = static_cast<std::size_t>(std::max(1, getmaxy(stdscr) - 2)),
            .unicode = unicode_};
  }

  void Show(const std::string& head, const std::vector<TopLine>& lines, const std::string& foot) {
    erase();
    Put(0, head, A_BOLD);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      Put(static_cast<int>(i) + 1, lines[i].text, StyleOf(lines[i].kind));
    }
    if (getmaxy(stdscr) > 1) Put(getmaxy(stdscr) - 1, foot, A_REVERSE);
    refresh();
  }

  // The next key; ERR: none came for a moment, or the terminal has another size.
  static int Key() { return getch(); }

 private:
  enum Pair : short { kNone, kBusyPair, kBadPair };

  Screen(SCREEN* screen, const OutputFace& face)
      : screen_(screen),
        unicode_(face.charset == PlotCharset::kUnicode),
        has_colours_(face.ink == PlotInk::kColour && has_colors()) {
    set_escdelay(kEscapeMs);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    timeout(kKeyPatienceMs);
    if (!has_colours_) return;
    start_color();
    use_default_colors();
    init_pair(kBusyPair, COLOR_CYAN, -1);
    init_pair(kBadPair, COLOR_RED, -1);
  }

  // Wide characters may take more room than they were counted for: the rest of a line goes first.
  void Put(int row, const std::string& text, attr_t style) const {
    move(row, 0);
    clrtoeol();
    attrset(static_cast<int>(style));
    addstr(CutOff(Printable(text, unicode_), canvas().columns).c_str());
    attrset(A_NORMAL);
  }

  attr_t StyleOf(TopLine::Kind kind) const {
    switch (kind) {
      case TopLine::Kind::kHeading:
        return A_BOLD;
      case TopLine::Kind::kColumns:
        return A_UNDERLINE;
      case TopLine::Kind::kBusy:
        return Colour(kBusyPair);
      case TopLine::Kind::kBad:
        return A_BOLD | Colour(kBadPair);
      case TopLine::Kind::kPlain:
        break;
    }
    return A_NORMAL;
  }
  attr_t Colour(Pair pair) const {
    return has_colours_ ? static_cast<attr_t>(COLOR_PAIR(pair)) : A_NORMAL;
  }

  SCREEN* const screen_;
  const bool unicode_, has_colours_;
};

// What keys do to the choice.
class Keys {
 public:
  enum class Wish : unsigned char { kNone, kAskNow, kEnd };

  Wish Press(int key, TopChoice& choice) {
    if (key == KEY_RESIZE) return Wish::kNone;
    if (typing_) return Type(key, choice);
    const bool helped = std::exchange(choice.help, false);
    switch (key) {
      case 'q':
      case 'Q':
        return Wish::kEnd;
      case 'r':
        return Wish::kAskNow;
      case '?':
      case 'h':
        choice.help = !helped;
        break;
      case '/':
        typing_ = true;
        choice.filter.clear();
        break;
      case kEscape:
        choice.filter.clear();
        break;
      case 's':
        choice.sort = static_cast<TopSort>((static_cast<int>(choice.sort) + 1) % kTopSorts);
        break;
      default:
        Hide(key, choice);
        Scroll(key, choice);
        break;
    }
    return Wish::kNone;
  }
  bool typing() const { return typing_; }

 private:
  static constexpr int kEscape = 27, kDelete = 127;

  static void Hide(int key, TopChoice& choice) {
    if (key == '1') choice.devices = !choice.devices;
    if (key == '2') choice.queue = !choice.queue;
    if (key == '3') choice.tasks = !choice.tasks;
  }

  static void Scroll(int key, TopChoice& choice) {
    if (key == KEY_DOWN) choice.scroll += 1;
    if (key == KEY_NPAGE) choice.scroll += kPage;
    if (key == KEY_UP) choice.scroll -= std::min<std::size_t>(choice.scroll, 1);
    if (key == KEY_PPAGE) choice.scroll -= std::min(choice.scroll, kPage);
  }

  Wish Type(int key, TopChoice& choice) {
    std::string& filter = choice.filter;
    if (key == '\n' || key == '\r' || key == KEY_ENTER) typing_ = false;
    if (key == kEscape) typing_ = false, filter.clear();
    if ((key == KEY_BACKSPACE || key == kDelete || key == '\b') && !filter.empty()) {
      while (filter.size() > 1 && (static_cast<unsigned char>(filter.back()) & 0xC0) == 0x80) {
        filter.pop_back();
      }
      filter.pop_back();
    }
    if (key >= ' ' && key < 256 && key != kDelete) filter += static_cast<char>(key);
    return Wish::kNone;
  }

  bool typing_ = false;
};

std::string Foot(const TopChoice& choice, bool typing) {
  if (typing) return "only rows with: " + choice.filter + "_   Enter: done  Esc: all rows";
  const std::string filter = choice.filter.empty() ? "filter" : "filter (" + choice.filter + ")";
  return "q end  / " + filter + "  s sort (" + Name(choice.sort) +
         ")  1 devices  2 queue  3 tasks  ? help";
}

// Until it is to end.
void Watch(Screen& screen, TopWatch& watch, const std::function<bool()>& stop,
           const std::string& title) {
  Keys keys;
  TopChoice choice;
  while (!stop()) {
    const TopFacts facts = watch.Facts();
    const TopPicture picture = DrawTop(facts, choice, screen.canvas());
    choice.scroll = std::min(choice.scroll, picture.furthest);
    screen.Show("kiln top  " + FormatTime(facts.at_ms) + "  " + title, picture.lines,
                Foot(choice, keys.typing()));
    const int key = Screen::Key();
    if (key == ERR && isatty(STDIN_FILENO) == 0) return;  // it hung up
    if (key == ERR) continue;
    const Keys::Wish wish = keys.Press(key, choice);
    if (wish == Keys::Wish::kEnd) return;
    if (wish == Keys::Wish::kAskNow) watch.AskNow();
  }
}

}  // namespace

Status ShowTop(const TopSources& sources, const Clock& clock, const std::function<bool()>& stop,
               const std::string& title) {
  const OutputFace face = FaceOfOutput();
  const char* term = std::getenv("TERM");
  const std::string terminal = term == nullptr ? "" : term;
  const bool is_terminal = face.is_terminal && isatty(STDIN_FILENO) == 1;
  std::unique_ptr<Screen> screen;
  if (is_terminal && !terminal.empty() && terminal != "dumb") {
    ChooseCharacters(face.charset == PlotCharset::kUnicode);  // before there are other threads
    screen = Screen::Open(face);
  }
  if (screen == nullptr) {
    return Error(StatusCode::kFailedPrecondition, "`kiln top` cannot draw on this ",
                 is_terminal ? "terminal (TERM=" + terminal + ")" : "output, which is no terminal",
                 ": `kiln top --once` prints the same and ends");
  }
  TopWatch watch(FactsBefore(sources), QuestionsFor(sources), clock);
  Watch(*screen, watch, stop, title);
  screen.reset();  // first: the watch may have to wait for an answer
  return {};
}

}  // namespace kiln
