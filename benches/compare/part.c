// The parts of the comparison that must cost next to nothing, in one static program.
//
//   part work SHAPE RECORD [ARGUMENT]      the service that every tool runs
//   part stage FOLDER PROCS COMMAND...     the shell of the terminal that a tool runs in
//   part floor FILE LOG [chain|sample|watch DIR]   a supervisor that makes the needed system calls only
//
// RECORD gets one line per start: "<monotonic ns> <pid> <what>".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  _exit(9);
}

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void append(const char *file, const char *text) {
  int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) _exit(9);
  close(fd);
}

static int loopback(int port, struct sockaddr_in *to) {
  *to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
  to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

// ---- the service -------------------------------------------------------------------------------

static const char *record_file;

static void record(const char *what) {
  char line[100];
  snprintf(line, sizeof line, "%lld %d %s\n", now(), getpid(), what);
  append(record_file, line);
}

static void wait_for_ever(void) {
  for (;;) pause();
}

static void ignore_signals(void) {
  int all[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
  for (int i = 0; i < 4; i++) signal(all[i], SIG_IGN);
}

// Lines of a hundred bytes, numbered, forty in each write.
static void flood(long lines) {
  static char block[4000];
  for (long line = 0; line < lines;) {
    int count = 0;
    for (; count < 40 && line < lines; count++, line++) {
      char head[32];
      memset(block + count * 100, 'x', 99);
      memcpy(block + count * 100, head, sprintf(head, "SEQ %012ld ", line));
      block[count * 100 + 99] = '\n';
    }
    for (int done = 0; done < count * 100;) {
      ssize_t wrote = write(1, block + done, count * 100 - done);
      if (wrote <= 0) {
        record("epipe");
        _exit(1);
      }
      done += wrote;
    }
  }
  record("end");
}

static void listen_on(int port) {
  struct sockaddr_in here;
  int fd = loopback(port, &here), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (void *)&here, sizeof here) || listen(fd, 64)) fail("listen");
  record("start");
  const char *answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
  for (;;) {
    int client = accept4(fd, 0, 0, SOCK_CLOEXEC);
    char asked[1000];
    if (client < 0) continue;
    if (read(client, asked, sizeof asked) > 0 && write(client, answer, strlen(answer)) < 0) {}
    close(client);
  }
}

static int work(int count, char **word) {
  if (count < 2) return 2;
  const char *shape = word[0], *argument = count > 2 ? word[2] : "";
  record_file = word[1];
#define IS(name) (!strcmp(shape, name))
  if (IS("ignores")) {
    ignore_signals();
  } else if (IS("child-ignores")) {
    if (!fork()) {
      ignore_signals();
      record("child");
      wait_for_ever();
    }
  } else if (IS("blocks-all")) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
  } else if (IS("stopped")) {
    if (!fork()) {
      ignore_signals();
      record("child");
      raise(SIGSTOP);
      wait_for_ever();
    }
  } else if (IS("new-session")) {
    if (!fork()) {
      setsid();
      record("child");
      wait_for_ever();
    }
  } else if (IS("daemon")) {
    pid_t middle = fork();
    if (!middle) {
      setsid();
      if (fork()) _exit(0);
      for (int fd = 0; fd < 256; fd++) close(fd);
      record("child");
      wait_for_ever();
    }
    waitpid(middle, 0, 0);
  } else if (IS("fork-chain")) {
    signal(SIGCHLD, SIG_IGN);
    if (!fork()) {
      record("child");
      for (;;) {
        if (fork()) _exit(0);
        setsid();
        usleep(10000);
      }
    }
  } else if (IS("moves-itself")) {
    if (!fork()) {
      setsid();
      int fd = open(argument, O_WRONLY | O_CLOEXEC);
      if (fd >= 0 && write(fd, "0", 1) < 0) {}
      record("child");
      wait_for_ever();
    }
  } else if (IS("listens")) {
    listen_on(atoi(argument));
  }
  record("start");
  if (IS("floods")) flood(atol(argument));
  wait_for_ever();
  return 0;
}

// ---- the terminal's shell ----------------------------------------------------------------------

// What an interactive shell does for a command in the foreground: it leads the session and stays,
// the command gets a process group of its own and the terminal.
static int stage(int count, char **word) {
  if (count < 3) return 2;
  append(word[1], "0");
  setsid();
  ioctl(0, TIOCSCTTY, 0);
  signal(SIGTTOU, SIG_IGN);
  pid_t child = fork();
  if (!child) {
    setpgid(0, 0);
    tcsetpgrp(0, getpid());
    // Whoever runs the comparison may have told it to ignore some.
    int usual[] = {SIGTTOU, SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGCHLD, SIGPIPE};
    for (int i = 0; i < 8; i++) signal(usual[i], SIG_DFL);
    char file[4096], text[60];
    snprintf(file, sizeof file, "%s/began", word[0]);
    snprintf(text, sizeof text, "%lld %d\n", now(), getpid());
    append(file, text);
    execv(word[2], word + 2);
    fail(word[2]);
  }
  setpgid(child, child);
  signal(SIGINT, SIG_IGN);
  signal(SIGQUIT, SIG_IGN);
  signal(SIGTSTP, SIG_IGN);
  int status;
  while (waitpid(child, &status, 0) != child) {}
  wait_for_ever();
  return 0;
}

// ---- the floor ---------------------------------------------------------------------------------

#define MOST 4096
static char *words[MOST][16];
static char own[300];
static int services, pids[MOST], cgroups[MOST], outputs[MOST], log_file;

// Each service in a cgroup and a process group of its own, its output in a pipe.
static void start(int service) {
  char path[400];
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) fail("pipe");
  struct clone_args ask = {.exit_signal = SIGCHLD, .flags = CLONE_VM | CLONE_VFORK};
  if (own[0]) {
    if (!cgroups[service]) {
      snprintf(path, sizeof path, "%s/s%d", own, service);
      if (mkdir(path, 0755) || (cgroups[service] = open(path, O_PATH | O_CLOEXEC)) < 0) fail(path);
    }
    ask.flags |= CLONE_INTO_CGROUP;
    ask.cgroup = cgroups[service];
  }
  // Not by syscall(): the child must not return from a function on the stack it shares.
#if defined(__x86_64__)
  long pid;
  asm volatile("syscall" : "=a"(pid) : "a"(SYS_clone3), "D"(&ask), "S"(sizeof ask) : "rcx", "r11", "memory");
#else
  ask.flags &= ~(CLONE_VM | CLONE_VFORK);
  long pid = syscall(SYS_clone3, &ask, sizeof ask);
#endif
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    setpgid(0, 0);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    execv(words[service][0], words[service]);
    _exit(127);
  }
  if (pid < 0) fail("clone3");
  close(ends[1]);
  pids[service] = pid;
  outputs[service] = ends[0];
}

static void until_it_answers(int port) {
  struct sockaddr_in there;
  for (;;) {
    int fd = loopback(port, &there);
    int refused = connect(fd, (void *)&there, sizeof there);
    close(fd);
    if (!refused) return;
    usleep(100);
  }
}

static void watch_for(int events, int fd, unsigned what) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};
  if (epoll_ctl(events, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
}

enum { SIGNALS = MOST, SAVES, TICKS };

static int floor_of(int count, char **word) {
  if (count < 2) return 2;
  const char *also = count > 2 ? word[2] : "";
  FILE *file = fopen(word[0], "re");
  static char line[4096];
  while (file && services < MOST && fgets(line, sizeof line, file)) {
    int at = 0;
    for (char *next = strtok(line, " \n"); next && at < 15; next = strtok(0, " \n")) words[services][at++] = strdup(next);
    if (at) services++;
  }
  log_file = open(word[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  struct rlimit most;
  getrlimit(RLIMIT_NOFILE, &most);
  most.rlim_cur = most.rlim_max;
  setrlimit(RLIMIT_NOFILE, &most);
  const char *cgroup = getenv("FLOOR_CGROUP");
  if (cgroup) {
    snprintf(own, sizeof own, "%s/floor", cgroup);
    if (mkdir(own, 0755)) fail(own);
  }
  sigset_t heard;
  sigemptyset(&heard);
  int all[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
  for (int i = 0; i < 4; i++) sigaddset(&heard, all[i]);
  sigprocmask(SIG_BLOCK, &heard, 0);
  int signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK), events = epoll_create1(EPOLL_CLOEXEC);
  watch_for(events, signals, SIGNALS);
  int saves = -1, ticks = -1;
  if (!strcmp(also, "watch")) {
    saves = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (inotify_add_watch(saves, word[3], IN_CLOSE_WRITE) < 0) fail(word[3]);
    watch_for(events, saves, SAVES);
  }
  for (int i = 0; i < services; i++) {
    start(i);
    watch_for(events, outputs[i], i);
    if (!strcmp(also, "chain") && words[i][4]) until_it_answers(atoi(words[i][4]));
  }
  static int usage[MOST], memory[MOST];
  if (!strcmp(also, "sample")) {
    char path[400];
    for (int i = 0; i < services; i++) {
      snprintf(path, sizeof path, "%s/s%d/cpu.stat", own, i);
      usage[i] = open(path, O_RDONLY | O_CLOEXEC);
      snprintf(path, sizeof path, "/proc/%d/statm", pids[i]);
      memory[i] = open(path, O_RDONLY | O_CLOEXEC);
    }
    ticks = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec second = {{1, 0}, {1, 0}};
    timerfd_settime(ticks, 0, &second, 0);
    watch_for(events, ticks, TICKS);
  }
  static char bytes[65536];
  int living = services, ending = 0;
  while (living) {
    struct epoll_event ready[64];
    int many = epoll_wait(events, ready, 64, -1);
    for (int i = 0; i < many; i++) {
      unsigned what = ready[i].data.u32;
      if (what < MOST) {
        ssize_t got = read(outputs[what], bytes, sizeof bytes);
        if (got <= 0) close(outputs[what]);
        else if (write(log_file, bytes, got) != got) fail("log");
      } else if (what == SAVES) {
        if (read(saves, bytes, sizeof bytes) > 0) kill(-pids[0], SIGTERM);
      } else if (what == TICKS) {
        if (read(ticks, bytes, 8) != 8) fail("timer");
        for (int s = 0; s < services; s++)
          if (pread(usage[s], bytes, 500, 0) < 0 || pread(memory[s], bytes, 500, 0) < 0) fail("sample");
      } else {
        struct signalfd_siginfo heard_now;
        while (read(signals, &heard_now, sizeof heard_now) == sizeof heard_now) {
          if (heard_now.ssi_signo == SIGCHLD || ending) continue;
          ending = 1;
          for (int s = 0; s < services; s++) kill(-pids[s], SIGTERM);
        }
        for (int pid; (pid = waitpid(-1, 0, WNOHANG)) > 0;) {
          int s = 0;
          while (s < services && pids[s] != pid) s++;
          if (s == services) continue;
          if (ending || saves < 0) {
            living--;
          } else {
            start(s);
            watch_for(events, outputs[s], s);
          }
        }
      }
    }
  }
  for (int s = 0; own[0] && s < services; s++) {
    char path[400];
    snprintf(path, sizeof path, "%s/s%d", own, s);
    rmdir(path);
  }
  if (own[0]) rmdir(own);
  return 0;
}

int main(int count, char **word) {
  if (count > 2 && !strcmp(word[1], "work")) return work(count - 2, word + 2);
  if (count > 2 && !strcmp(word[1], "stage")) return stage(count - 2, word + 2);
  if (count > 2 && !strcmp(word[1], "floor")) return floor_of(count - 2, word + 2);
  return 2;
}
