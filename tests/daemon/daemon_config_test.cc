#include "daemon/daemon_config.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "tests/base/temporary_directory.h"
#include "tests/daemon/config_text.h"
#include "tests/daemon/local_clock.h"

namespace kiln {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(DaemonConfigTest, FullFileIsRead) {
  const auto read = Parse(kFull);
  ASSERT_TRUE(read.ok()) << read.status();
  const DaemonConfig& config = *read;
  EXPECT_EQ(config.name, "owl");
  EXPECT_EQ(config.database, "/var/lib/kiln/tuning.db");
  EXPECT_EQ(config.zone.name(), "Europe/Berlin");
  EXPECT_EQ(config.socket, "unix:/run/kiln/daemon.sock");
  EXPECT_EQ(config.address, "0.0.0.0:7100");
  EXPECT_EQ(config.tls.ca, "/etc/kiln/ca.crt");
  EXPECT_EQ(config.tls.cert, "/etc/kiln/daemon.crt");
  EXPECT_EQ(config.tls.key, "/etc/kiln/daemon.key");
  EXPECT_EQ(config.tls.crl, "/etc/kiln/crl.pem");
  EXPECT_EQ(config.metrics, "127.0.0.1:9100");
  EXPECT_EQ(config.page, "127.0.0.1:9101");
  EXPECT_EQ(config.token_file, "/etc/kiln/page.token");
  EXPECT_EQ(config.tracker, "tracker:7000");
  EXPECT_EQ(config.farm_tls.ca, "/etc/kiln/ca.crt");
  EXPECT_EQ(config.farm_tls.cert, "/etc/kiln/farm.crt");
  EXPECT_EQ(config.farm_tls.key, "/etc/kiln/farm.key");
  ASSERT_EQ(config.windows.size(), 2u);
  EXPECT_EQ(config.windows[0].rule(),
            (WindowRule{.name = "night", .from_minute = 22 * 60, .to_minute = 6 * 60}));
  EXPECT_EQ(config.windows[0].zone().name(), "Europe/Berlin");
  EXPECT_EQ(config.windows[1].rule(),
            (WindowRule{.name = "weekend", .to_minute = 1440, .days = 0x70}));
  EXPECT_EQ(config.windows[1].zone().name(), "America/New_York");
  EXPECT_EQ(config.default_window, "night");
  EXPECT_EQ(config.jobs_per_target, 2);
  EXPECT_EQ(config.jobs_per_user, 3);
  EXPECT_EQ(config.grace, seconds(60));
  EXPECT_EQ(config.lease, seconds(90));
  EXPECT_THAT(config.command, ElementsAre("/bin/sh", "-c", "cat >>~/ends"));
  EXPECT_EQ(config.command_time, seconds(90));
  EXPECT_EQ(config.backup, "/backup");
  EXPECT_EQ(config.keep_backups, 14);
  EXPECT_EQ(config.at, "13:30");
  EXPECT_EQ(config.keep_jobs_days, 365);
}

TEST(DaemonConfigTest, EmptyFileHasTheDefaults) {
  for (const char* text :
       {"", "\n# nothing\n", "[listen]\n[farm]\n[jobs]\n[end]\n[maintenance]\n"}) {
    const auto read = Parse(text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->name + read->database + read->socket + read->address + read->metrics, "");
    EXPECT_EQ(read->zone.name(), "local");
    EXPECT_EQ(read->tracker, "");
    EXPECT_FALSE(read->tls.enabled() || read->farm_tls.enabled());
    EXPECT_THAT(read->windows, IsEmpty());
    EXPECT_EQ(read->default_window, "");
    EXPECT_EQ(read->jobs_per_target, 1);
    EXPECT_EQ(read->jobs_per_user, 0);
    EXPECT_EQ(read->grace, seconds(30));
    EXPECT_EQ(read->lease, seconds(30));
    EXPECT_THAT(read->command, IsEmpty());
    EXPECT_EQ(read->command_time, seconds(60));
    EXPECT_EQ(read->backup, "");
    EXPECT_EQ(read->keep_backups, 7);
    EXPECT_EQ(read->at, "12:00");
    EXPECT_EQ(read->keep_jobs_days, 90);
  }
}

TEST(DaemonConfigTest, OtherWaysToWriteTheSameAreTheSame) {
  const auto read = Parse(
      "window = [{name = 'n', from = '22:00', to = '06:00', days = 'weekdays'}]\n"
      "jobs.default_window = 'n'\nend.command = '/bin/true'\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->windows.at(0).rule().days, 0x1fu);
  EXPECT_EQ(read->windows.at(0).zone().name(), "local");
  EXPECT_EQ(read->default_window, "n");
  EXPECT_THAT(read->command, ElementsAre("/bin/true"));
}

TEST(DaemonConfigTest, DaysAreAddedUp) {
  const auto days = [](const std::string& list) {
    const auto read = Parse("[[window]]\n" + std::string(kNight) + "days = " + list);
    EXPECT_TRUE(read.ok()) << read.status();
    return read->windows.at(0).rule().days;
  };
  EXPECT_EQ(days("['mon']"), 1u);
  EXPECT_EQ(days("['tue', 'wed', 'thu', 'thu']"), 14u);
  EXPECT_EQ(days("['fri', 'sat', 'sun']"), 0x70u);
  EXPECT_EQ(days("['weekdays', 'sun']"), 0x5fu);
  EXPECT_EQ(days("['weekend']"), 0x60u);
  EXPECT_EQ(days("['all']"), 0x7fu);
  EXPECT_EQ(days("[]"), 0u);  // it never opens, which its jobs say
}

TEST(DaemonConfigTest, WindowThatNeverOpensIsNoError) {
  EXPECT_EQ(WindowError("name = 'n'\nfrom = '22:00'\nto = '22:00'\n"), "");
}

TEST(DaemonConfigTest, HomeIsExpanded) {
  setenv("HOME", "/home/owl", 1);
  const auto read = Parse("database = '~/tuning.db'\n[listen]\nsocket = 'unix:~/d.sock'\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->database, "/home/owl/tuning.db");
  EXPECT_EQ(read->socket, "unix:/home/owl/d.sock");
  unsetenv("HOME");
  EXPECT_EQ(
      ErrorOf("database = '~/tuning.db'"),
      "night.toml:1: `database` is `~/tuning.db`, but HOME names no directory: begin it with /");
}

TEST(DaemonConfigTest, NumbersAndTimesHaveRanges) {
  EXPECT_EQ(ErrorOf("[jobs]\nper_target = 0"),
            "night.toml:2: `per_target` in [jobs] is 0: write 1 to 1000");
  EXPECT_EQ(ErrorOf("[jobs]\nper_user = -1"),
            "night.toml:2: `per_user` in [jobs] is -1: write 0 to 1000");
  EXPECT_EQ(
      ErrorOf("[maintenance]\nkeep_backups = 9223372036854775807"),
      "night.toml:2: `keep_backups` in [maintenance] is 9223372036854775807: write 1 to 1000");
  EXPECT_EQ(ErrorOf("[maintenance]\nkeep_jobs_days = 36501"),
            "night.toml:2: `keep_jobs_days` in [maintenance] is 36501: write 1 to 36500");
  EXPECT_EQ(ErrorOf("[jobs]\ngrace = '61m'"),
            "night.toml:2: `grace` in [jobs] is `61m`: write 1s to 1h");
  EXPECT_EQ(ErrorOf("[jobs]\nlease = '30'"),
            "night.toml:2: `lease` in [jobs]: `30` is not a time: write 90s, 30m, 2h or 1h30m");
  EXPECT_EQ(ErrorOf("[end]\ntime = '0s'"),
            "night.toml:2: `time` in [end]: `0s` is not a time: write 90s, 30m, 2h or 1h30m");
  EXPECT_EQ(ErrorOf("[maintenance]\nat = '24:00'"),
            "night.toml:2: `at` in [maintenance]: `24:00` is not a time of day here: write 00:00");
}

TEST(DaemonConfigTest, WindowsSayWhatIsWrongWithThem) {
  EXPECT_EQ(WindowError("from = '22:00'\nto = '06:00'\n"),
            "night.toml:1: `name` in [[window]] is missing: jobs name their window");
  EXPECT_EQ(WindowError("name = 'n'\nto = '06:00'\n"),
            "night.toml:1: `from` in [[window]] is missing: write from = \"22:00\"");
  EXPECT_EQ(WindowError("name = 'n'\nfrom = '22:00'\n"),
            "night.toml:1: `to` in [[window]] is missing: write to = \"06:00\"");
  EXPECT_EQ(WindowError("name = 'n'\nfrom = '24:00'\nto = '06:00'\n"),
            "night.toml:3: `from` in [[window]]: `24:00` is not a time of day here: write 00:00");
  EXPECT_EQ(WindowError("name = 'n'\nfrom = '22:00'\nto = '6:00'\n"),
            "night.toml:4: `to` in [[window]]: `6:00` is not a time of day: write 06:00");
  EXPECT_EQ(
      WindowError("name = 'two words'\n"),
      "night.toml:2: `name` in [[window]] is `two words`: a name has up to 128 characters, no "
      "space, no slash");
  EXPECT_EQ(WindowError(std::string(kNight) + "days = ['mom']"),
            "night.toml:5: `days` in [[window]] has `mom`: did you mean `mon`?");
  EXPECT_EQ(
      WindowError(std::string(kNight) + "days = 'daily'"),
      "night.toml:5: `days` in [[window]] has `daily`: write mon to sun, weekdays, weekend or "
      "all");
  EXPECT_EQ(WindowError(std::string(kNight) + "\n[[window]]\n" + kNight),
            "night.toml:7: `name` in [[window]] is `n` again, as in line 2");
}

TEST(DaemonConfigTest, UnknownZonesAreErrors) {
  constexpr char kWhat[] =
      ": no time zone `Europe/Berln` here: write local, UTC, or a name as Europe/Berlin of "
      "/usr/share/zoneinfo (Debian: apt install tzdata)";
  EXPECT_EQ(ErrorOf("\nzone = 'Europe/Berln'\n"), "night.toml:2: `zone`" + std::string(kWhat));
  EXPECT_EQ(WindowError(std::string(kNight) + "zone = 'Europe/Berln'"),
            "night.toml:5: `zone` in [[window]]" + std::string(kWhat));
  const LocalZoneIs local("Europe/Berln");
  EXPECT_EQ(
      ErrorOf(""),
      "night.toml:1: `zone`: this machine's time zone, TZ=Europe/Berln, cannot be read: set TZ, "
      "or the zone here, to a name as Europe/Berlin");
}

TEST(DaemonConfigTest, DefaultWindowMustBeThere) {
  EXPECT_EQ(ErrorOf("[jobs]\ndefault_window = 'n'\n"),
            "night.toml:2: `default_window` in [jobs] is `n`, but no [[window]] has this name");
  EXPECT_EQ(
      ErrorOf("[jobs]\ndefault_window = 'nihgt'\n[[window]]\nname = 'night'\nfrom = '22:00'\n"
              "to = '06:00'\n"),
      "night.toml:2: `default_window` in [jobs] is `nihgt`, but no [[window]] has this name: did "
      "you mean `night`?");
}

TEST(DaemonConfigTest, CredentialsGoTogether) {
  EXPECT_EQ(
      ErrorOf("[listen]\naddress = '0.0.0.0:7100'\n"),
      "night.toml:2: `address` in [listen] needs `ca`, `cert` and `key`: clients over a network "
      "are asked who they are");
  EXPECT_EQ(ErrorOf("[listen]\naddress = '0.0.0.0:7100'\nca = '/ca'\ncert = '/c'\n"),
            "night.toml:3: `ca` in [listen] needs `key` beside it");
  EXPECT_EQ(ErrorOf("[listen]\ncrl = '/crl'\n"),
            "night.toml:2: `crl` in [listen] is for `address`, which is missing");
  EXPECT_EQ(ErrorOf("[farm]\ntracker = 'a:1'\nkey = '/k'\n"),
            "night.toml:3: `key` in [farm] needs `ca` beside it");
  EXPECT_EQ(ErrorOf("[farm]\nca = '/ca'\ncert = '/c'\nkey = '/k'\n"),
            "night.toml:2: `ca` in [farm] is for `tracker`, which is missing");
  EXPECT_EQ(ErrorOf("[farm]\ntracker = 'a:1'\n"), "");  // in plaintext
}

TEST(DaemonConfigTest, AddressesHaveTheirForm) {
  EXPECT_EQ(
      ErrorOf("[farm]\ntracker = 'a'"),
      "night.toml:2: `tracker` in [farm] is `a`: write HOST:PORT, with a port from 1 to 65535");
  EXPECT_EQ(ErrorOf("[farm]\ntracker = 'a:0'"),
            "night.toml:2: `tracker` in [farm] is `a:0`: write HOST:PORT, with a port from 1 to "
            "65535");
  EXPECT_EQ(ErrorOf("[farm]\ntracker = 'unix:/run/t.sock'"), "");
  EXPECT_EQ(ErrorOf("[listen]\nmetrics = 'unix:/m'"),
            "night.toml:2: `metrics` in [listen] is `unix:/m`: write HOST:PORT");
  EXPECT_EQ(ErrorOf("[listen]\nmetrics = '127.0.0.1:0'"), "");  // any port
  EXPECT_EQ(ErrorOf("[listen]\npage = '9192'"),
            "night.toml:2: `page` in [listen] is `9192`: write HOST:PORT");
  EXPECT_EQ(ErrorOf("[listen]\ntoken_file = '/t'"),
            "night.toml:2: `token_file` in [listen] is for `page`, which is missing");
  EXPECT_EQ(ErrorOf("[listen]\naddress = ':7'"),
            "night.toml:2: `address` in [listen] is `:7`: write HOST:PORT");
  EXPECT_EQ(ErrorOf("[listen]\nsocket = '/run/s'"),
            "night.toml:2: `socket` in [listen] is `/run/s`: write unix:/PATH");
  EXPECT_EQ(
      ErrorOf("[listen]\nsocket = 'unix:/" + std::string(107, 's') + "'"),
      "night.toml:2: `socket` in [listen]: a socket's path has at most 107 bytes, this one 108");
}

TEST(DaemonConfigTest, SocketModeIsOctal) {
  const auto mode = [](const std::string& text) {
    return Parse("[listen]\nsocket_mode = " + text + "\n");
  };
  EXPECT_EQ(Parse("")->socket_mode, 0600u);
  EXPECT_EQ(mode("\"0660\"")->socket_mode, 0660u);
  EXPECT_EQ(mode("\"666\"")->socket_mode, 0666u);
  for (const char* bad : {"\"0900\"", "\"rw\"", "\"0060\"", "\"01666\"", "\"0400\"", "\"-1\""}) {
    const Status status = mode(bad).status();
    EXPECT_THAT(Message(status), HasSubstr("night.toml:2: `socket_mode` in [listen] is ")) << bad;
    EXPECT_THAT(Message(status), HasSubstr("write \"0600\" for the daemon's user and root")) << bad;
  }
  EXPECT_FALSE(mode("432").ok()) << "a number would be decimal";
}

TEST(DaemonConfigTest, RelativePathsAreErrors) {
  constexpr char kEnd[] = ", a relative path: begin it with / or ~/";
  EXPECT_EQ(ErrorOf("database = 'x.db'"), "night.toml:1: `database` is `x.db`" + std::string(kEnd));
  EXPECT_EQ(ErrorOf("[listen]\nsocket = 'unix:s'"),
            "night.toml:2: `socket` in [listen] is `s`" + std::string(kEnd));
  EXPECT_EQ(ErrorOf("[farm]\ntracker = 'unix:t'"),
            "night.toml:2: `tracker` in [farm] is `t`" + std::string(kEnd));
  for (const std::string key : {"ca", "cert", "key", "crl"}) {
    EXPECT_EQ(ErrorOf("[listen]\n" + key + " = './f'"),
              "night.toml:2: `" + key + "` in [listen] is `./f`" + kEnd);
  }
  EXPECT_EQ(ErrorOf("[maintenance]\nbackup = '~owl/b'"),
            "night.toml:2: `backup` in [maintenance] is `~owl/b`" + std::string(kEnd));
  EXPECT_EQ(ErrorOf("[end]\ncommand = ['true']"),
            "night.toml:2: `command` in [end] is `true`" + std::string(kEnd));
}

TEST(DaemonConfigTest, CommandMustBeAProgram) {
  const TemporaryDirectory place;
  const std::string file = place.File("notes");
  std::ofstream(file) << "no program\n";
  for (const std::string& name : {file, place.path().string(), std::string("/nowhere")}) {
    EXPECT_EQ(ErrorOf("[end]\ncommand = ['" + name + "']"),
              "night.toml:2: `command` in [end] names `" + name + "`, which is no program here");
  }
  EXPECT_EQ(ErrorOf("[end]\ncommand = []"),
            "night.toml:2: `command` in [end] is empty: leave it out");
  EXPECT_EQ(ErrorOf("[end]\ncommand = ['/bin/sh', \"a\\u0000b\"]"),
            "night.toml:2: `command` in [end] has a zero byte");
  EXPECT_EQ(ErrorOf("[end]\ncommand = ['/bin/sh', '-c', '''\ntrue\n''', '']"), "");
}

TEST(DaemonConfigTest, NamesStandInFileNames) {
  EXPECT_EQ(ErrorOf("name = 'a/b'"),
            "night.toml:1: `name` is `a/b`: a name has up to 128 characters, no space, no slash");
}

TEST(DaemonConfigTest, FileOnDiskIsRead) {
  const TemporaryDirectory place;
  const std::string path = place.File("night.toml");
  std::ofstream(path) << "name = 'owl'\nzone = 'UTC'\n";
  const auto read = ReadDaemonConfig(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->name, "owl");
  std::ofstream(path) << "\nname = 1\n";
  EXPECT_EQ(Message(ReadDaemonConfig(path).status()),
            path + ":2: `name` must be a text in quotes, not a whole number");
  const auto gone = ReadDaemonConfig(place.File("gone.toml"));
  EXPECT_EQ(gone.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(gone.status()), HasSubstr("gone.toml"));
}

}  // namespace
}  // namespace kiln
