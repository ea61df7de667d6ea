// Every word the dashboard says, in English and Portuguese. A test holds the two against each other.

import { PROBLEMS } from "./problems.js";

const EN = {
  language: "Language", signOut: "Sign out", signIn: "Sign in", key: "API key", skip: "Skip to content", docs: "API",
  keyHint: "As in --api-key, or from “chatbot-erp keys create”. It is not stored in the browser.",
  live: "live", polling: "looking every 2 s", offline: "the manager does not answer", hidden: "this key may not look", sandbox: "sandbox",
  sandboxNote: "No real WhatsApp: the built-in loopback network.",
  instances: "Instances", none: "No numbers yet. Create the first one.", find: "Find", back: "All instances",
  hiddenNote: "This key may send, and see nothing.", open: "Open",
  create: "New instance", name: "Name", nameHint: "Letters, digits, “-” and “_”.", webhook: "Webhook URL",
  webhookHint: "Where received messages and acknowledgements are sent.", createNow: "Create",
  created: "{name} is being created.", secret: "Webhook secret of {name}", copy: "Copy", copied: "Copied.",
  secretNote: "It is shown this once: put it where the receiver checks signatures.", secretKept: "I have it",
  welcome: "Connect the first number", welcomeText: "Give it a name and the URL that is told what arrives, then scan its code with WhatsApp.",
  choose: "Choose an instance to see it.", gone: "This instance is no longer there.",
  restart: "Restart", restarted: "{name} gets a new socket.", remove: "Delete…", removed: "{name} is deleted.",
  removeTitle: "Delete {name}?", removeText: "The device is unlinked and the session erased. The log keeps its history.",
  keep: "Keep link and session for a later instance of this name", cancel: "Cancel", removeNow: "Delete",
  since: "since {time}", account: "Account", restarts: "Restarts", retryAt: "Next try", node: "Node", noAccount: "none yet",
  link: "Link a phone", linkText: "WhatsApp on the phone: Settings, Linked devices, Link a device.",
  qr: "QR code to scan", qrLeft: "new code in {s} s", qrWait: "Waiting for a code …",
  pairing: "Or with a code", phone: "The phone's number", pairingGet: "Get a code", pairingCode: "Type this on the phone:",
  test: "Send a test message", to: "To (number)", text: "Message", send: "Send",
  sent: "Sent to {jid}: the server has it.",
  log: "Log", moment: "Moment", now: "Back to now", then: "As it was then", asNow: "As it is now", events: "Events",
  earlier: "Earlier events", empty: "Nothing has happened yet.", forgotten: "somebody forgotten",
  messages: "Last messages until then", noMessages: "none", position: "position {n}", data: "Data",
  deliveries: "Webhook", endpoint: "Endpoint", waiting: "Waiting", dead: "Given up", settled: "Settled", lastAttempts: "Last attempts", breaker: "State",
  failingSince: "Failing since", nextAttemptAt: "Next try",
  replay: "Replay…", replayFrom: "From position", replayNow: "Replay", replayed: "Events delivered again: {n}.",
  deadLetters: "Dead letters", redrive: "Deliver again",
  redriven: "Dead letters delivered again: {n}.", testWebhook: "Send a test event", tested: "The receiver took the test event.", testFailed: "The receiver did not take it ({why}).",
  enable: "Enable", disable: "Disable", noAttempts: "none yet", paused: "disabled",
  "breaker.closed": "works", "breaker.open": "fails, waits", "breaker.half-open": "fails, tries again",
  tools: "Sandbox", scan: "Scan the code", scanNumber: "Phone to link (number)", scanned: "The phone has scanned it.",
  contact: "Contact (number)", contactSend: "Send as this contact", contactSent: "The contact has sent it.",
  fault: "Fault", play: "Play the fault", heal: "Heal all", played: "Played: {fault}.", healed: "All faults are healed.",
  "status.INITIALIZING": "initialising", "status.SCAN_QR_CODE": "waiting for a scan", "status.CONNECTED": "connected",
  "status.DEGRADED": "degraded", "status.DISCONNECTED": "disconnected", "status.INVALID": "invalid",
  "status.REMOVED": "removed",
  "fault.drop": "Connection drops", "fault.stream_error": "Server ends the stream (503)",
  "fault.replaced": "Session taken over elsewhere", "fault.logged_out": "Phone logs it out",
  "fault.silence": "Silence: nothing comes back", "fault.refuse": "Nobody gets in",
  "fault.slow_acks": "Acknowledgements 5 s late", "fault.refuse_send": "The next message is refused",
  "fault.banned": "Banned for a minute",
  "event.instance.created": "Created as {name}", "event.instance.restarted": "New socket ({cause})",
  "event.instance.pairing_offered": "A code waits for the phone", "event.instance.paired": "Linked to {jid}",
  "event.instance.connected": "Connected as {jid}", "event.instance.degraded": "Degraded: acknowledgement below delivered",
  "event.instance.recovered": "Recovered: fully acknowledged", "event.instance.disconnected": "Disconnected ({reason})",
  "event.instance.invalidated": "No restart can cure it ({reason})", "event.instance.removed": "Removed ({reason})",
  "event.instance.webhook_url_changed": "Webhook now {webhookUrl}", "event.ping.sent": "Ping to oneself acknowledged",
  "event.ping.failed": "Ping to oneself failed ({reason})", "event.message.accepted": "To {number}: “{text}”, accepted",
  "event.message.sent": "To {jid}: “{text}”, at the server", "event.message.failed": "Not sent ({reason})",
  "event.message.outcome_unknown": "Nobody knows whether it was sent ({reason})",
  "event.message.received": "{pushName}: “{text}”", "event.message.undecryptable": "A message that could not be read",
  "event.message.acknowledged.0": "Refused by {jid}", "event.message.acknowledged.1": "At the server, for {jid}",
  "event.message.acknowledged.2": "Delivered to {jid}", "event.message.acknowledged.3": "Read by {jid}",
  "event.message.acknowledged.4": "Played by {jid}",
  "event.message.edited": "{pushName} changed it to: “{text}”", "event.message.revoked": "{pushName} took a message back",
  "event.media.missed": "The file of a message was not kept ({reason})",
  "event.call.received": "A call from {jid}", "event.group.joined": "In the group “{subject}” now",
  "event.group.updated": "The group {jid} was changed", "event.blocklist.changed": "The block list was changed",
  "event.instance.pacing_configured": "Another pace for what is sent", "event.presence.changed": "{jid}: {state}",
  "event.webhook.delivered": "Webhook {sequence} delivered", "event.webhook.abandoned": "Webhook {sequence} given up",
  "event.endpoint.configured": "Endpoint {endpoint} has new settings", "event.endpoint.removed": "Endpoint {endpoint} removed",
  "event.endpoint.disabled": "Endpoint {endpoint} is told nothing ({reason})",
  "event.endpoint.enabled": "Endpoint {endpoint} is told again", "event.endpoint.replayed": "Endpoint {endpoint} is told some again",
  "event.endpoint.secret_rotated": "Endpoint {endpoint} has a new secret",
  "event.subject.erased": "Somebody was forgotten", "event.content.expired": "What was said is forgotten before {before}",
  "fate.accepted": "accepted", "fate.sent": "sent", "fate.delivered": "delivered", "fate.read": "read", "fate.played": "played",
  "fate.failed": "failed", "fate.unknown": "nobody knows", "fate.received": "received", "fate.undecryptable": "unreadable",
  "fate.revoked": "taken back",
  "reason.dropped": "the network broke off", "reason.refused": "WhatsApp cannot be reached", "reason.unavailable": "WhatsApp has trouble",
  "reason.flapping": "it breaks off again and again", "reason.socket_failed": "its socket failed", "reason.host_died": "its process ended",
  "reason.host_hung": "its process hung", "reason.host_recycled": "its process was renewed", "reason.actor_failed": "it failed within",
  "reason.actor_stuck": "it was stuck", "reason.zombie": "connected, but not logged in", "reason.deaf": "connected, but heard nothing",
  "reason.temporarily_banned": "banned for a time", "reason.qr_expired": "nobody scanned", "reason.pairing_failed": "linking failed",
  "reason.stream_replaced": "its session runs somewhere else", "reason.locked": "WhatsApp has locked the account",
  "reason.banned": "WhatsApp has banned the account", "reason.client_outdated": "WhatsApp wants a newer version",
  "reason.unusable_session": "the session is unusable", "reason.logged_out": "unlinked on the phone", "reason.requested": "asked for",
  "reason.manager_started": "the manager started", "reason.manager_restarted": "the manager was restarted",
  "reason.paired": "after linking", "reason.partial_ack": "not acknowledged by the recipient yet", "reason.deleted": "on request", "reason.removed": "the instance was removed",
  "failure.not_on_whatsapp": "not on WhatsApp", "failure.not_connected": "not connected", "failure.refused": "WhatsApp refused it",
  "failure.reachout_locked": "may begin no conversations now", "failure.addressing_rejected": "the addressing was rejected",
  "failure.too_many": "too many at once", "failure.not_uploaded": "the file was not uploaded",
  "missed.gone": "WhatsApp no longer has it", "missed.unreachable": "WhatsApp's media server was not reached", "missed.damaged": "it is damaged",
  "missed.large": "it is too large", "missed.disk": "too little disk is free", "missed.crowded": "too many at once",
  "missed.interrupted": "the connection ended",
  "stopped.gone": "the receiver answered 410", "stopped.failing": "it failed for five days", "stopped.requested": "on request",
  "delivery.bad_url": "bad URL", "delivery.denied_address": "address not allowed", "delivery.unresolved": "name not found",
  "delivery.timeout": "no answer in time", "delivery.tls": "TLS failed", "delivery.connection_refused": "connection refused",
  "delivery.protocol": "no valid HTTP", "delivery.reset": "connection broken", "delivery.unreachable": "not reachable",
  "delivery.internal": "failed here", "delivery.no_secret": "no secret", "delivery.unreadable": "unreadable",
  "delivery.paused": "paused", "delivery.disabled": "disabled",
};

const PT = {
  language: "Idioma", signOut: "Sair", signIn: "Entrar", key: "Chave da API", skip: "Ir para o conteúdo", docs: "API",
  keyHint: "A que você passou em --api-key ou criou com “chatbot-erp keys create”. Não fica salva no navegador.",
  live: "ao vivo", polling: "verificando a cada 2 s", offline: "o gerenciador não responde", hidden: "esta chave não permite consultar",
  sandbox: "sandbox",
  sandboxNote: "Sem WhatsApp de verdade: é a rede de testes embutida.",
  instances: "Instâncias", none: "Nenhum número ainda. Crie o primeiro.", find: "Buscar", back: "Todas as instâncias",
  hiddenNote: "Esta chave só permite enviar; não permite ver nada.", open: "Abrir",
  create: "Nova instância", name: "Nome", nameHint: "Letras, dígitos, “-” e “_”.", webhook: "URL do webhook",
  webhookHint: "Para onde vão as mensagens recebidas e as confirmações.", createNow: "Criar",
  created: "{name} está sendo criada.", secret: "Segredo do webhook de {name}", copy: "Copiar", copied: "Copiado.",
  secretNote: "Só aparece agora: guarde-o onde o destino confere as assinaturas.", secretKept: "Já guardei",
  welcome: "Conecte o primeiro número", welcomeText: "Dê a ele um nome e a URL que vai receber os avisos; depois escaneie o código com o WhatsApp.",
  choose: "Escolha uma instância para vê-la.", gone: "Esta instância não existe mais.",
  restart: "Reiniciar", restarted: "{name} está sendo reiniciada.", remove: "Excluir…", removed: "{name} foi excluída.",
  removeTitle: "Excluir {name}?", removeText: "O aparelho é desvinculado e a sessão, apagada. O log mantém o histórico.",
  keep: "Manter o vínculo e a sessão para uma futura instância com este nome", cancel: "Cancelar", removeNow: "Excluir",
  since: "desde {time}", account: "Conta", restarts: "Reinícios", retryAt: "Próxima tentativa", node: "Nó", noAccount: "nenhuma ainda",
  link: "Vincular um celular", linkText: "WhatsApp no celular: Configurações › Dispositivos conectados › Conectar dispositivo.",
  qr: "Código QR para escanear", qrLeft: "novo código em {s} s", qrWait: "Aguardando um código…",
  pairing: "Ou use um código", phone: "Número do celular", pairingGet: "Gerar código", pairingCode: "Digite no celular:",
  test: "Enviar mensagem de teste", to: "Para (número)", text: "Mensagem", send: "Enviar",
  sent: "Enviada para {jid}: o servidor recebeu.",
  log: "Log", moment: "Momento", now: "Voltar ao presente", then: "Como estava", asNow: "Como está agora", events: "Eventos",
  earlier: "Eventos anteriores", empty: "Nada aconteceu ainda.", forgotten: "alguém esquecido",
  messages: "Últimas mensagens até esse momento", noMessages: "nenhuma", position: "posição {n}", data: "Dados",
  deliveries: "Webhook", endpoint: "Destino", waiting: "Na fila", dead: "Abandonados", settled: "Concluídos", lastAttempts: "Últimas tentativas", breaker: "Estado",
  failingSince: "Com falhas desde", nextAttemptAt: "Próxima tentativa",
  replay: "Reenviar histórico…", replayFrom: "A partir da posição", replayNow: "Reenviar", replayed: "Eventos que serão reenviados: {n}.",
  deadLetters: "Eventos abandonados", redrive: "Reenviar",
  redriven: "Eventos abandonados que serão reenviados: {n}.", testWebhook: "Enviar evento de teste", tested: "O destino aceitou o evento de teste.", testFailed: "O destino não aceitou ({why}).",
  enable: "Ativar", disable: "Desativar", noAttempts: "nenhuma ainda", paused: "desativado",
  "breaker.closed": "funcionando", "breaker.open": "com falhas, aguardando", "breaker.half-open": "com falhas, tentando de novo",
  tools: "Sandbox", scan: "Escanear o código", scanNumber: "Número do celular que vai escanear", scanned: "O celular escaneou o código.",
  contact: "Contato (número)", contactSend: "Enviar como este contato", contactSent: "O contato enviou a mensagem.",
  fault: "Falha", play: "Simular a falha", heal: "Encerrar todas", played: "Simulada: {fault}.", healed: "Todas as falhas foram encerradas.",
  "status.INITIALIZING": "iniciando", "status.SCAN_QR_CODE": "aguardando leitura", "status.CONNECTED": "conectada",
  "status.DEGRADED": "degradada", "status.DISCONNECTED": "desconectada", "status.INVALID": "inválida",
  "status.REMOVED": "removida",
  "fault.drop": "A conexão cai", "fault.stream_error": "O servidor encerra o stream (503)",
  "fault.replaced": "Sessão assumida em outro lugar", "fault.logged_out": "O celular desconecta",
  "fault.silence": "Silêncio: nada responde", "fault.refuse": "Ninguém consegue entrar",
  "fault.slow_acks": "Confirmações com 5 s de atraso", "fault.refuse_send": "A próxima mensagem é recusada",
  "fault.banned": "Banida por um minuto",
  "event.instance.created": "Criada como {name}", "event.instance.restarted": "Novo socket ({cause})",
  "event.instance.pairing_offered": "Um código aguarda o celular", "event.instance.paired": "Vinculada a {jid}",
  "event.instance.connected": "Conectada como {jid}", "event.instance.degraded": "Degradada: confirmação abaixo de entregue",
  "event.instance.recovered": "Recuperada: confirmação completa", "event.instance.disconnected": "Desconectada ({reason})",
  "event.instance.invalidated": "Nenhum reinício resolve ({reason})", "event.instance.removed": "Removida ({reason})",
  "event.instance.webhook_url_changed": "Webhook alterado para {webhookUrl}", "event.ping.sent": "Ping para o próprio número confirmado",
  "event.ping.failed": "Ping para o próprio número falhou ({reason})", "event.message.accepted": "Para {number}: “{text}”, aceita",
  "event.message.sent": "Para {jid}: “{text}”, no servidor", "event.message.failed": "Não enviada ({reason})",
  "event.message.outcome_unknown": "Ninguém sabe se foi enviada ({reason})",
  "event.message.received": "{pushName}: “{text}”", "event.message.undecryptable": "Uma mensagem que não pôde ser lida",
  "event.message.acknowledged.0": "Recusada por {jid}", "event.message.acknowledged.1": "No servidor, para {jid}",
  "event.message.acknowledged.2": "Entregue a {jid}", "event.message.acknowledged.3": "Lida por {jid}",
  "event.message.acknowledged.4": "Ouvida por {jid}",
  "event.message.edited": "{pushName} mudou para: “{text}”", "event.message.revoked": "{pushName} apagou uma mensagem",
  "event.media.missed": "O arquivo de uma mensagem não foi guardado ({reason})",
  "event.call.received": "Uma chamada de {jid}", "event.group.joined": "Entrou no grupo “{subject}”",
  "event.group.updated": "O grupo {jid} foi alterado", "event.blocklist.changed": "A lista de bloqueio foi alterada",
  "event.instance.pacing_configured": "Ritmo de envio alterado", "event.presence.changed": "{jid}: {state}",
  "event.webhook.delivered": "Webhook {sequence} entregue", "event.webhook.abandoned": "Webhook {sequence} abandonado",
  "event.endpoint.configured": "O destino {endpoint} tem nova configuração", "event.endpoint.removed": "Destino {endpoint} removido",
  "event.endpoint.disabled": "O destino {endpoint} não recebe mais nada ({reason})",
  "event.endpoint.enabled": "O destino {endpoint} voltou a receber", "event.endpoint.replayed": "O destino {endpoint} vai receber um trecho de novo",
  "event.endpoint.secret_rotated": "O destino {endpoint} tem um novo segredo",
  "event.subject.erased": "Alguém foi esquecido", "event.content.expired": "O que foi dito antes de {before} foi esquecido",
  "fate.accepted": "aceita", "fate.sent": "enviada", "fate.delivered": "entregue", "fate.read": "lida", "fate.played": "ouvida",
  "fate.failed": "falhou", "fate.unknown": "ninguém sabe", "fate.received": "recebida", "fate.undecryptable": "ilegível",
  "fate.revoked": "apagada",
  "reason.dropped": "a rede caiu", "reason.refused": "o WhatsApp está inacessível", "reason.unavailable": "o WhatsApp está com problemas",
  "reason.flapping": "a conexão cai repetidamente", "reason.socket_failed": "o socket falhou", "reason.host_died": "o processo terminou",
  "reason.host_hung": "o processo travou", "reason.host_recycled": "o processo foi renovado", "reason.actor_failed": "falha interna",
  "reason.actor_stuck": "ficou travada", "reason.zombie": "conectada, mas sem login", "reason.deaf": "conectada, mas sem ouvir nada",
  "reason.temporarily_banned": "banida por um tempo", "reason.qr_expired": "ninguém escaneou", "reason.pairing_failed": "o vínculo falhou",
  "reason.stream_replaced": "a sessão está em uso em outro lugar", "reason.locked": "o WhatsApp bloqueou a conta",
  "reason.banned": "o WhatsApp baniu a conta", "reason.client_outdated": "o WhatsApp exige uma versão mais nova",
  "reason.unusable_session": "a sessão não pode ser usada", "reason.logged_out": "desvinculada no celular", "reason.requested": "a pedido",
  "reason.manager_started": "o gerenciador iniciou", "reason.manager_restarted": "o gerenciador foi reiniciado",
  "reason.paired": "após o vínculo", "reason.partial_ack": "ainda sem confirmação do destinatário", "reason.deleted": "a pedido", "reason.removed": "a instância foi removida",
  "failure.not_on_whatsapp": "não está no WhatsApp", "failure.not_connected": "sem conexão", "failure.refused": "o WhatsApp recusou",
  "failure.reachout_locked": "não pode iniciar conversas agora", "failure.addressing_rejected": "endereçamento rejeitado",
  "failure.too_many": "muitas de uma vez", "failure.not_uploaded": "o arquivo não foi carregado",
  "missed.gone": "o WhatsApp não o tem mais", "missed.unreachable": "o servidor de mídia não respondeu", "missed.damaged": "está danificado",
  "missed.large": "é grande demais", "missed.disk": "falta espaço em disco", "missed.crowded": "muitos de uma vez",
  "missed.interrupted": "a conexão terminou",
  "stopped.gone": "o destino respondeu 410", "stopped.failing": "falhou por cinco dias", "stopped.requested": "a pedido",
  "delivery.bad_url": "URL inválida", "delivery.denied_address": "endereço não permitido", "delivery.unresolved": "nome não encontrado",
  "delivery.timeout": "sem resposta a tempo", "delivery.tls": "falha de TLS", "delivery.connection_refused": "conexão recusada",
  "delivery.protocol": "HTTP inválido", "delivery.reset": "conexão interrompida", "delivery.unreachable": "inacessível",
  "delivery.internal": "falha interna", "delivery.no_secret": "sem segredo", "delivery.unreadable": "ilegível",
  "delivery.paused": "pausado", "delivery.disabled": "desativado",
};

export const LANGUAGES = { en: ["English", EN], pt: ["Português", PT] };

const wished = localStorage.getItem("language") ?? navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES);
export const language = wished in LANGUAGES ? wished : "en";
const locale = language === "pt" ? "pt-BR" : "en";

/** The words for a key, with {parts} filled in; the key itself where there are none. */
export function t(key, parts = {}) {
  const words = LANGUAGES[language][1][key];
  return words === undefined ? key : words.replace(/\{(\w+)\}/g, (_, part) => String(parts[part] ?? "–"));
}

const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "medium" });

/** A moment in the reader's own time zone; of today only the time. */
export function time(iso) {
  const at = new Date(iso);
  return (at.toDateString() === new Date().toDateString() ? clock : calendar).format(at);
}

/** What a code means, by the first of these kinds that has words for it; itself where none has (WhatsApp's own words). */
export function why(code, ...kinds) {
  const key = kinds.map((kind) => `${kind}.${code}`).find((each) => each in LANGUAGES[language][1]);
  return key ? t(key) : code;
}

const KIND = { "message.failed": "failure", "media.missed": "missed", "endpoint.disabled": "stopped" };

const WHO = ["number", "jid", "pushName"];
const WHAT = ["text", "subject", "state"];

/** What there is to say of an event; of somebody who was forgotten, that they were. */
function parts(data) {
  if (!data.erased) return data;
  const lost = (names, words) => Object.fromEntries(names.filter((name) => !data[name]).map((name) => [name, words]));
  return { ...data, ...lost(WHO, t("forgotten")), ...lost(WHAT, "…") };
}

/** What an event says, in a line. */
export function told(event) {
  const key = event.type === "message.acknowledged" ? `event.${event.type}.${event.data.ack}` : `event.${event.type}`;
  const kind = KIND[event.type] ?? "reason";
  const words = t(key, { ...parts(event.data), reason: why(event.data.reason, kind), cause: why(event.data.cause, kind) });
  if (words === key) return event.type;
  return event.data.erased ? words[0].toLocaleUpperCase(locale) + words.slice(1) : words; // no name is ever changed
}

/** Why something was refused and what to do: in the manager's own words, which are English, or in ours. */
export function refusal({ type = "", detail = "", action = "", errors = [] }) {
  const ours = language === "pt" && PROBLEMS[type.split("/").pop()];
  const words = ours ? ours.replace("{detail}", () => detail).trim() : [detail, action].filter(Boolean).join(" ");
  const more = errors.filter((error) => error.detail !== detail).map((error) => `${error.field}: ${error.detail}`);
  return [words, ...more].join(" · ");
}
