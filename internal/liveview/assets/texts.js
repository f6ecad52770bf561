// Every text of the page that is not the server's, in each language. A text of several forms
// has one for each plural category of the language.

export const languages = ['en', 'ru'];

const texts = {
  en: {
    skip: 'Skip to the figures',
    language: 'Language',
    figures: 'At a glance',
    charts: 'The last five minutes',
    chartsHint: 'Point at a chart, or move to it with Tab and use the arrow keys, to read the values of a moment.',
    asTable: 'The charts as a table, one row for ten seconds',
    time: 'Time',
    rates: 'Requests per second',
    duration: 'Response time',
    queue: 'Requests in the queue',
    wait: 'Time in the queue',
    busy: 'Busy share of the workers',
    connections: 'Connections',
    class1: '1xx', class2: '2xx', class3: '3xx', class4: '4xx', class5: '5xx',
    p50: '50 %', p90: '90 %', p99: '99 %',
    waiting: 'waiting', share: 'busy', open: 'open', running: 'running',
    none: 'none',
    now: 'now',
    summary: '{0}: {1} now, {2} to {3} in the last five minutes',
    noData: 'no data yet',
    state: 'State', uptime: 'Uptime', generation: 'Generation', workersOf: 'Workers', answered: 'Responses', failed: 'Errors (5xx)', queued: 'In the queue',
    refused: 'Refused', oldest: 'Waits longest', listeners: 'Listens at', of: '{0} of {1}',
    workers: { one: 'Workers: {0}', other: 'Workers: {0}' },
    worker: 'Worker {0}', pid: 'pid', requests: 'Requests', errors: 'Errors', memory: 'Memory', cpu: 'CPU', lag: 'Loop lag', age: 'Uptime', kind: 'Kind',
    idle: 'Runs nothing',
    runsFor: 'for {0}',
    by: 'from {0}',
    moreRuns: { one: 'and {0} more', other: 'and {0} more' },
    moreWorkers: { one: 'and {0} more worker, which the page does not show', other: 'and {0} more workers, which the page does not show' },
    unlisted: { one: '{0} request more runs', other: '{0} requests more run' },
    slow: 'Slow requests', slowNone: 'None so far. The setting slow_request_log says from how many seconds on a request is slow.',
    inQueue: 'in the queue {0}', inApp: 'in the app {0}', stack: 'Stack',
    reloads: 'Reloads', reloadsNone: 'No reload so far.', reloadOK: 'succeeded after {0}', reloadFailed: 'failed after {0}', reason: 'Reason',
    deaths: 'Deaths of workers', deathsNone: 'No worker has died.', death: 'Worker {0} (pid {1})', ran: 'It ran:',
    connecting: 'Connecting to the server …',
    lost: 'The connection to the server is lost. Trying again …',
    full: 'The server sends no events: too many watch already, or it has ended. Trying again …',
    back: 'Connected again.',
    otherFront: 'Connected again, with a new front: its counts begin at zero.',
    otherVersion: 'The server is of another version than this page.',
    load: 'Load the page again',
    stale: 'What is said of the workers is old: the master does not answer.',
    booting: 'booting', reloading: 'reloading', paused: 'paused', departing: 'departing', draining: 'draining', quitting: 'quitting', ready: 'ready', leaving: 'leaving',
    successorHere: 'This is the successor of an upgrade that is not complete.', upgrading: 'An upgrade is under way: the successor has pid {0}.',
    actions: 'Actions', results: 'Results of actions',
    cancel: 'Cancel', token: 'Token', count: 'Number of workers',
    wrongToken: 'The server does not accept this token.',
    pending: '{0}: under way …', done: '{0}: done', undone: '{0}: {1}', unreachable: 'the server did not answer',
    reload: 'Reload', reloadAsk: 'Starts new workers with the code and the settings that are there now. If that fails, nothing changes.',
    reopen: 'Reopen logs', reopenAsk: 'Closes the log files and opens them again.',
    scale: 'Scale', scaleAsk: 'Changes the number of workers, until the next reload.',
    upgrade: 'Upgrade', upgradeAsk: 'Starts the program that is now on disk beside this one.',
    drain: 'Drain', drainAsk: 'The workers of this server leave; the new one alone serves.',
    rollback: 'Roll back', rollbackAsk: 'Ends the new server; this one serves alone again.',
    scaleFixed: 'The number of workers follows the load, from {0} to {1}. This makes it a fixed one, until the next reload.',
    judging: 'trying new workers',
    selfcare: 'What the server does by itself', pools: 'Pools', dryRun: 'dry run', fromTo: '{0} to {1}',
    range: 'Workers, by load', load: 'Load', loadNow: '{0} busy, requests wait {1}, work for {2} slots', rescaled: 'Last change', held: 'No more workers',
    canary: 'Canary', tried: '{0} for {1} of {2}', canaryNew: 'New workers', canaryOld: 'Old workers', side: '{0} requests, {1} failed, median {2}, 99 % {3}',
    quarantine: 'Quarantine', kept: '{0} left, {1} refused', template: 'Template', forked: 'pid {0}, has forked {1}', reforks: 'Reforks', canaries: 'Canaries',
    andFailed: '{0}, and {1} failed', recycled: 'Replaced workers', replaced: 'Worker {0} goes', poolNow: '{0} of {1} busy, {2} waiting, {3} workers, {4} calls done',
    kill: 'End', killTitle: 'End worker {0}', killAsk: 'The worker finishes the requests that it has; another one takes its place.',
  },
  ru: {
    skip: 'К показателям',
    language: 'Язык',
    figures: 'Коротко',
    charts: 'Последние пять минут',
    chartsHint: 'Чтобы узнать значения в какой-то момент, наведите указатель на график или перейдите к нему клавишей Tab и нажимайте стрелки.',
    asTable: 'Графики в виде таблицы, по строке на десять секунд',
    time: 'Время',
    rates: 'Запросов в секунду',
    duration: 'Время ответа',
    queue: 'Запросов в очереди',
    wait: 'Время в очереди',
    busy: 'Занятость воркеров',
    connections: 'Соединения',
    class1: '1xx', class2: '2xx', class3: '3xx', class4: '4xx', class5: '5xx',
    p50: '50 %', p90: '90 %', p99: '99 %',
    waiting: 'ждут', share: 'заняты', open: 'открыто', running: 'выполняется',
    none: 'нет',
    now: 'сейчас',
    summary: '{0}: сейчас {1}, за последние пять минут от {2} до {3}',
    noData: 'данных пока нет',
    state: 'Состояние', uptime: 'Работает', generation: 'Поколение', workersOf: 'Воркеры', answered: 'Ответов', failed: 'Ошибок (5xx)', queued: 'В очереди',
    refused: 'Отказов', oldest: 'Ждёт дольше всех', listeners: 'Слушает', of: '{0} из {1}',
    workers: { one: 'Воркеры: {0}', other: 'Воркеры: {0}' },
    worker: 'Воркер {0}', pid: 'pid', requests: 'Запросов', errors: 'Ошибок', memory: 'Память', cpu: 'Процессор', lag: 'Задержка цикла', age: 'Работает', kind: 'Класс',
    idle: 'Ничего не выполняет',
    runsFor: 'уже {0}',
    by: 'от {0}',
    moreRuns: { one: 'и ещё {0}', other: 'и ещё {0}' },
    moreWorkers: { one: 'и ещё {0} воркер, который здесь не показан', few: 'и ещё {0} воркера, которые здесь не показаны', other: 'и ещё {0} воркеров, которые здесь не показаны' },
    unlisted: { one: 'выполняется ещё {0} запрос', few: 'выполняются ещё {0} запроса', other: 'выполняются ещё {0} запросов' },
    slow: 'Медленные запросы', slowNone: 'Пока ни одного. Со скольких секунд запрос считается медленным, задаёт настройка slow_request_log.',
    inQueue: 'в очереди {0}', inApp: 'в приложении {0}', stack: 'Стек',
    reloads: 'Перезагрузки', reloadsNone: 'Перезагрузок не было.', reloadOK: 'удалась за {0}', reloadFailed: 'не удалась, через {0}', reason: 'Причина',
    deaths: 'Гибель воркеров', deathsNone: 'Ни один воркер не погиб.', death: 'Воркер {0} (pid {1})', ran: 'Выполнял:',
    connecting: 'Соединяемся с сервером…',
    lost: 'Связь с сервером потеряна. Пробуем снова…',
    full: 'Сервер не передаёт события: зрителей слишком много, или он завершён. Пробуем снова…',
    back: 'Связь восстановлена.',
    otherFront: 'Связь восстановлена, но уже с новым фронтом: его счётчики начинаются с нуля.',
    otherVersion: 'Версия сервера не та, что у этой страницы.',
    load: 'Загрузить страницу заново',
    stale: 'Сведения о воркерах устарели: мастер не отвечает.',
    booting: 'запускается', reloading: 'перезагрузка', paused: 'на паузе', departing: 'уходит', draining: 'доделывает запросы', quitting: 'завершается', ready: 'готов', leaving: 'уходит',
    successorHere: 'Это преемник: обновление ещё не закончено.', upgrading: 'Идёт обновление; pid преемника — {0}.',
    actions: 'Действия', results: 'Чем кончились действия',
    cancel: 'Отмена', token: 'Токен', count: 'Сколько воркеров',
    wrongToken: 'Сервер не принимает этот токен.',
    pending: '{0}: выполняется…', done: '{0}: сделано', undone: '{0}: {1}', unreachable: 'сервер не ответил',
    reload: 'Перезагрузить', reloadAsk: 'Запустятся новые воркеры с теми кодом и настройками, какие есть сейчас. Если это не удастся, ничего не изменится.',
    reopen: 'Переоткрыть журналы', reopenAsk: 'Файлы журналов закроются и откроются заново.',
    scale: 'Число воркеров', scaleAsk: 'Число воркеров изменится до следующей перезагрузки.',
    upgrade: 'Обновить', upgradeAsk: 'Рядом с этим сервером запустится программа, которая сейчас лежит на диске.',
    drain: 'Отпустить воркеров', drainAsk: 'Воркеры этого сервера уйдут, работать останется только новый.',
    rollback: 'Вернуть прежний', rollbackAsk: 'Новый сервер завершится, и снова будет работать только этот.',
    scaleFixed: 'Число воркеров следует за нагрузкой, от {0} до {1}. Теперь оно станет постоянным, до следующей перезагрузки.',
    judging: 'проверяет новых воркеров',
    selfcare: 'Что сервер делает сам', pools: 'Пулы', dryRun: 'пробный прогон', fromTo: 'от {0} до {1}',
    range: 'Воркеров по нагрузке', load: 'Нагрузка', loadNow: 'занято {0}, запросы ждут {1}, работы на {2} слотов', rescaled: 'Последнее изменение', held: 'Почему не больше',
    canary: 'Канарейка', tried: '{0}, прошло {1} из {2}', canaryNew: 'Новые воркеры', canaryOld: 'Старые воркеры', side: 'запросов {0}, ошибок {1}, медиана {2}, 99 % {3}',
    quarantine: 'Карантин', kept: 'осталось {0}, отказов {1}', template: 'Шаблон', forked: 'pid {0}, породил {1}', reforks: 'Рефорки', canaries: 'Канарейки',
    andFailed: '{0}, неудачных {1}', recycled: 'Заменённые воркеры', replaced: 'Воркер {0} уходит', poolNow: 'занято {0} из {1}, ждут {2}, воркеров {3}, вызовов {4}',
    kill: 'Завершить', killTitle: 'Завершить воркер {0}', killAsk: 'Воркер доделает те запросы, которые у него есть; его место займёт другой.',
  },
};

// chosen returns the language for a browser's list of languages.
export function chosen(preferred) {
  for (const tag of preferred) {
    const lang = tag.toLowerCase().split('-')[0];
    if (languages.includes(lang)) return lang;
  }
  return 'en';
}

// text returns a text with what stands for {0}, {1} …; a number in counted chooses the form.
export function text(lang, key, values = [], counted = null) {
  let found = texts[lang][key];
  if (found === undefined) throw new Error(`no text ${key}`);
  if (typeof found === 'object') found = found[new Intl.PluralRules(lang).select(counted)] ?? found.other;
  return found.replace(/\{(\d)\}/g, (_, i) => values[i]);
}

// stateName is the name of a state of the server or of a worker, in the server's own word if
// this page does not know it.
export function stateName(lang, state) {
  const known = ['booting', 'reloading', 'judging', 'paused', 'departing', 'draining', 'quitting', 'ready', 'leaving'];
  if (state === 'running') return lang === 'ru' ? 'работает' : 'running';
  return known.includes(state) ? text(lang, state) : state;
}

// keys returns the keys of a language, for the test that compares them.
export function keys(lang) {
  return Object.keys(texts[lang]).sort();
}
